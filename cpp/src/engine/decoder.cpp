#include "engine/decoder.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/pixels.hpp"
#include "error.hpp"

namespace digitvae {
namespace {

// The rows first … first + count − 1 as tiles of `tile_rows` (which divides kTileRows), aligned to the absolute
// index, so that each lies in one full tile.
class AlignedRange {
 public:
  struct Part {
    std::uint64_t start;  // absolute index of its first row
    std::size_t begin;    // of that row in its full tile
    std::size_t rows;
  };

  AlignedRange(std::uint64_t first, std::size_t count, std::size_t tile_rows)
      : first_(first), last_(first + (count - 1)), tile_rows_(tile_rows) {
    if (last_ < first) throw InvalidArgument("first + count goes beyond 2^64 images");
  }

  std::size_t tiles() const { return static_cast<std::size_t>(last_ / tile_rows_ - first_ / tile_rows_ + 1); }

  Part part(std::size_t tile) const {
    const std::uint64_t tile_start = (first_ / tile_rows_ + tile) * tile_rows_;
    const std::uint64_t start = std::max(first_, tile_start);
    const std::uint64_t end = std::min(last_ - tile_start, tile_rows_ - 1) + tile_start;  // inclusive
    return {start, static_cast<std::size_t>(start % kTileRows), static_cast<std::size_t>(end - start + 1)};
  }

  std::size_t offset(const Part& part) const { return static_cast<std::size_t>(part.start - first_); }

 private:
  std::uint64_t first_;
  std::uint64_t last_;
  std::uint64_t tile_rows_;
};

// Below this a thread costs more to start than it saves.
constexpr std::size_t kFewestTileRows = 16;

}  // namespace

// One thread's scratch: a tile of latents, a tile of intensities.
template <typename Pixel>
class Decoder::TileDecoder {
 public:
  // `full_tiles`: what to run those with. `most_rows`: rows of the largest part that will come.
  TileDecoder(const Decoder& decoder, const Session& full_tiles, std::size_t most_rows)
      : session_(decoder.session_),
        full_tiles_(full_tiles),
        shapes_(decoder.shapes_),
        dim_(decoder.info_.latent_dim),
        pixels_(decoder.info_.pixels()),
        scratch_(new float[shapes_.rows_for(most_rows) * (dim_ + pixels_)]),
        intensities_(scratch_.get() + shapes_.rows_for(most_rows) * dim_) {}

  // Where the latents of `rows` rows go that stand at `begin` in their tile.
  float* latents_of(std::size_t begin, std::size_t rows) {
    rows_ = rows;
    shape_ = shapes_.rows_for(rows);
    begin_ = shape_ == kTileRows ? begin : 0;
    if (rows_ != shape_) std::fill_n(scratch_.get(), shape_ * dim_, 0.0F);
    return scratch_.get() + begin_ * dim_;
  }

  // Decode those rows to `out`.
  void decode(Pixel* out) {
    const Session& session = shape_ == kTileRows ? full_tiles_ : session_;
    const Session::Tensor z(session, scratch_.get(), shape_, dim_);
    if constexpr (std::is_same_v<Pixel, float>) {
      if (rows_ == shape_) {  // straight into the caller's memory
        const Session::Tensor x(session, out, shape_, pixels_);
        session.run({&z}, {&x});
        require_intensities(out, cap_intensities(out, rows_ * pixels_));
        return;
      }
    }
    const Session::Tensor x(session, intensities_, shape_, pixels_);
    session.run({&z}, {&x});
    float* const source = intensities_ + begin_ * pixels_;
    const std::size_t count = rows_ * pixels_;
    if constexpr (std::is_same_v<Pixel, float>) {
      require_intensities(source, cap_intensities(source, count));
      std::copy_n(source, count, out);
    } else {
      require_intensities(source, pixels_from_intensities(source, count, out));
    }
  }

 private:
  // A decoder that leaves [0, 1], or gives NaN, must not pass for an image. `sound`: how many values do not.
  void require_intensities(const float* x, std::size_t sound) const {
    if (sound == rows_ * pixels_) return;
    throw ModelError("the decoder computed " + std::to_string(x[sound]) + " for a pixel, expected 0 to 1");
  }

  const Session& session_;
  const Session& full_tiles_;
  const TileShapes& shapes_;
  std::size_t dim_;
  std::size_t pixels_;
  std::unique_ptr<float[]> scratch_;
  float* intensities_;
  std::size_t rows_ = 0;
  std::size_t shape_ = 0;
  std::size_t begin_ = 0;
};

Decoder::Decoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes)
    : session_(std::move(runtime), model, bytes),
      info_(read_network_info(session_)),
      shapes_(session_),
      sparse_(session_, model, bytes) {
  require_interface(session_, {batch_of("z", info_.latent_dim)}, {batch_of("x", info_.pixels())});
}

// Full tiles, if there is one for every thread; otherwise smaller ones, if these give the same bits.
std::size_t Decoder::tile_rows_for(std::size_t count, unsigned threads) const {
  if (threads == 0) threads = available_threads();
  std::size_t rows = kTileRows;
  while (rows > kFewestTileRows && count < rows * threads && shapes_.rows_for(rows / 2) == rows / 2) rows /= 2;
  return rows;
}

template <typename Pixel>
void Decoder::sample(const LatentSource& source, std::uint64_t first, std::size_t count, Pixel* out,
                     std::int32_t* labels, unsigned threads, const Poll& poll) const {
  require_fit(source, info_);
  if (count == 0) return;
  const std::size_t tile_rows = tile_rows_for(count, threads);
  const AlignedRange range(first, count, tile_rows);
  const Session& full_tiles = sparse_.for_rows(count);
  const auto make_worker = [&]() -> TileWork {
    const auto maker = std::make_shared<LatentMaker>(source, info_.latent_dim);
    const auto decoder = std::make_shared<TileDecoder<Pixel>>(*this, full_tiles, std::min(count, tile_rows));
    return [this, &range, out, labels, maker, decoder](std::size_t tile) {
      const AlignedRange::Part part = range.part(tile);
      const std::size_t offset = range.offset(part);
      maker->make(part.start, part.rows, decoder->latents_of(part.begin, part.rows),
                  labels == nullptr ? nullptr : labels + offset);
      decoder->decode(out + offset * info_.pixels());
    };
  };
  for_each_tile(range.tiles(), threads, make_worker, poll);
}

void Decoder::latents(const LatentSource& source, std::uint64_t first, std::size_t count, float* z,
                      std::int32_t* labels, unsigned threads, const Poll& poll) const {
  require_fit(source, info_);
  if (count == 0) return;
  const AlignedRange range(first, count, kTileRows);
  const auto make_worker = [&]() -> TileWork {
    const auto maker = std::make_shared<LatentMaker>(source, info_.latent_dim);
    return [this, &range, z, labels, maker](std::size_t tile) {
      const AlignedRange::Part part = range.part(tile);
      const std::size_t offset = range.offset(part);
      maker->make(part.start, part.rows, z + offset * info_.latent_dim, labels == nullptr ? nullptr : labels + offset);
    };
  };
  for_each_tile(range.tiles(), threads, make_worker, poll);
}

template <typename Pixel>
void Decoder::decode(const float* z, std::size_t count, Pixel* out, unsigned threads, const Poll& poll) const {
  const std::size_t dim = info_.latent_dim;
  require_within(z, count, dim, -kMaxLatent, kMaxLatent, "latents must be finite and within ±1e20");

  const std::size_t tile_rows = tile_rows_for(count, threads);
  const Session& full_tiles = sparse_.for_rows(count);
  const auto make_worker = [&]() -> TileWork {
    const auto decoder = std::make_shared<TileDecoder<Pixel>>(*this, full_tiles, std::min(count, tile_rows));
    return [this, z, count, dim, out, decoder, tile_rows](std::size_t tile) {
      const std::size_t start = tile * tile_rows;
      const std::size_t rows = std::min(tile_rows, count - start);
      std::copy_n(z + start * dim, rows * dim, decoder->latents_of(0, rows));
      decoder->decode(out + start * info_.pixels());
    };
  };
  for_each_tile((count + tile_rows - 1) / tile_rows, threads, make_worker, poll);
}

template void Decoder::sample(const LatentSource&, std::uint64_t, std::size_t, float*, std::int32_t*, unsigned,
                              const Poll&) const;
template void Decoder::sample(const LatentSource&, std::uint64_t, std::size_t, std::uint8_t*, std::int32_t*, unsigned,
                              const Poll&) const;
template void Decoder::decode(const float*, std::size_t, float*, unsigned, const Poll&) const;
template void Decoder::decode(const float*, std::size_t, std::uint8_t*, unsigned, const Poll&) const;

}  // namespace digitvae
