// A range of images, cut so that every image stands at the same place of a tile in every range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/error.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

// The rows first … first + count − 1 in parts, each within one full tile (a multiple of kTileRows rows from
// index 0), and cut after every `part_rows` rows of that.
class AlignedRange {
 public:
  struct Part {
    std::uint64_t start;  // absolute index of its first row
    std::size_t begin;    // of that row in its full tile
    std::size_t rows;
  };

  AlignedRange(std::uint64_t first, std::size_t count, std::size_t part_rows)
      : first_(first),
        last_(first + (count - 1)),
        part_rows_(part_rows),
        parts_of_tile_((kTileRows + part_rows - 1) / part_rows) {
    if (last_ < first) throw InvalidArgument("first + count goes beyond 2^64 images");
  }

  std::size_t parts() const {
    const std::uint64_t tiles = last_ / kTileRows - first_ / kTileRows;
    return static_cast<std::size_t>(tiles) * parts_of_tile_ + part_of(last_) - part_of(first_) + 1;
  }

  Part part(std::size_t number) const {
    const std::size_t from_tile_start = part_of(first_) + number;
    const std::uint64_t tile = first_ / kTileRows + from_tile_start / parts_of_tile_;
    const std::size_t begin = from_tile_start % parts_of_tile_ * part_rows_;
    const std::uint64_t part_start = tile * kTileRows + begin;
    const std::uint64_t start = std::max(first_, part_start);
    const std::size_t rows = std::min(part_rows_, kTileRows - begin);
    const std::uint64_t end = std::min(last_ - part_start, std::uint64_t{rows - 1}) + part_start;  // inclusive
    return {start, static_cast<std::size_t>(start % kTileRows), static_cast<std::size_t>(end - start + 1)};
  }

  std::size_t offset(const Part& part) const { return static_cast<std::size_t>(part.start - first_); }

 private:
  std::size_t part_of(std::uint64_t index) const { return static_cast<std::size_t>(index % kTileRows) / part_rows_; }

  std::uint64_t first_;
  std::uint64_t last_;
  std::size_t part_rows_;
  std::size_t parts_of_tile_;
};

}  // namespace digitvae
