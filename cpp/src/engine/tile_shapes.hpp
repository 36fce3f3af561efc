// Smaller runs that give the same bits as a full tile.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

#include "engine/tiles.hpp"
#include "runtime/session.hpp"

namespace digitvae {

// A single image in a full tile costs as much as 64. Whether this processor's kernels round a row the
// same way in a smaller run is found out by trial, once for each session, the first time that it would
// pay: copies of one row fill a full tile and a small run, and every row of both must come out the same
// to the bit. The order in which a kernel adds does not depend on the values, so a few thousand sums
// that agree leave no room for another order; where any bit differs, full tiles are used.
class TileShapes {
 public:
  // `session`: one float32 input [batch, n] and outputs [batch, …]; must outlive this.
  explicit TileShapes(const Session& session);

  // The number of rows to run for `rows` (1 … kTileRows) of them. Thread-safe; the first call that could
  // gain runs the model a few times (about two tiles).
  std::size_t rows_for(std::size_t rows) const;

 private:
  static constexpr std::array<std::size_t, 2> kSmall = {1, 8};

  void try_small_shapes() const;

  const Session& session_;
  // Not a std::once_flag: an exception from its call (out of memory) leaves it locked for ever on some
  // systems, and under ThreadSanitizer.
  mutable std::mutex trying_;
  mutable std::atomic<bool> tried_{false};
  mutable std::array<bool, kSmall.size()> same_bits_{};
};

}  // namespace digitvae
