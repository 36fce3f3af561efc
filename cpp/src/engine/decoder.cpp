#include "engine/decoder.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "engine/pixels.hpp"
#include "error.hpp"
#include "random/latents.hpp"

namespace digitvae {

// One thread's scratch: a tile of latents, a tile of intensities, both already wrapped as tensors.
template <typename Pixel>
class Decoder::TileDecoder {
 public:
  explicit TileDecoder(const Decoder& decoder)
      : session_(decoder.session_),
        pixels_(decoder.info_.pixels()),
        latents_(kTileRows * decoder.info_.latent_dim),
        intensities_(kTileRows * pixels_),
        z_(session_, latents_.data(), kTileRows, decoder.info_.latent_dim),
        x_(session_, intensities_.data(), kTileRows, pixels_) {}

  float* latents() { return latents_.data(); }
  std::size_t latent_values() const { return latents_.size(); }

  // Decode the tile; rows [begin, begin + rows) go to `out`.
  void decode(std::size_t begin, std::size_t rows, Pixel* out) {
    if constexpr (std::is_same_v<Pixel, float>) {
      if (rows == kTileRows) {  // straight into the caller's memory
        const Session::Tensor target(session_, out, kTileRows, pixels_);
        session_.run(z_, {&target});
        require_intensities(out, rows);
        return;
      }
    }
    session_.run(z_, {&x_});
    float* const source = intensities_.data() + begin * pixels_;
    require_intensities(source, rows);
    if constexpr (std::is_same_v<Pixel, float>) {
      std::copy_n(source, rows * pixels_, out);
    } else {
      pixels_from_intensities(source, rows * pixels_, out);
    }
  }

 private:
  // While the tile is in cache: a decoder that leaves [0, 1], or gives NaN, must not pass for an image.
  void require_intensities(float* x, std::size_t rows) const {
    const std::size_t index = cap_intensities(x, rows * pixels_);
    if (index == rows * pixels_) return;
    throw ModelError("the decoder computed " + std::to_string(x[index]) + " for a pixel, expected 0 to 1");
  }

  const Session& session_;
  std::size_t pixels_;
  std::vector<float> latents_;
  std::vector<float> intensities_;
  Session::Tensor z_;
  Session::Tensor x_;
};

Decoder::Decoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes)
    : session_(std::move(runtime), model, bytes), info_(read_model_info(session_)) {
  require_interface(session_, {{"z", info_.latent_dim}}, {{"x", info_.pixels()}});
}

template <typename Pixel>
void Decoder::sample(std::uint64_t seed, std::uint64_t first, std::size_t count, Pixel* out, unsigned threads,
                     const Poll& poll) const {
  if (count == 0) return;
  if (count - 1 > std::numeric_limits<std::uint64_t>::max() - first) {
    throw InvalidArgument("first + count goes beyond 2^64 images");
  }
  const std::uint64_t last = first + (count - 1);
  const std::uint64_t first_tile = first / kTileRows;
  const auto tiles = static_cast<std::size_t>(last / kTileRows - first_tile + 1);
  const std::size_t pixels = info_.pixels();
  const std::size_t dim = info_.latent_dim;

  const auto make_worker = [&]() -> TileWork {
    const auto tile_decoder = std::make_shared<TileDecoder<Pixel>>(*this);
    return [=](std::size_t tile) {
      const std::uint64_t tile_start = (first_tile + tile) * kTileRows;
      const std::uint64_t start = std::max(first, tile_start);
      const std::uint64_t end = std::min(last - tile_start, std::uint64_t{kTileRows - 1}) + tile_start;  // inclusive
      const auto begin = static_cast<std::size_t>(start - tile_start);
      const auto rows = static_cast<std::size_t>(end - start + 1);
      if (rows != kTileRows) std::fill_n(tile_decoder->latents(), tile_decoder->latent_values(), 0.0F);
      fill_standard_normal(seed, Stream::kLatent, start, rows, dim, tile_decoder->latents() + begin * dim);
      tile_decoder->decode(begin, rows, out + static_cast<std::size_t>(start - first) * pixels);
    };
  };
  for_each_tile(tiles, threads, make_worker, poll);
}

template <typename Pixel>
void Decoder::decode(const float* z, std::size_t count, Pixel* out, unsigned threads, const Poll& poll) const {
  const std::size_t dim = info_.latent_dim;
  const std::size_t pixels = info_.pixels();
  require_within(z, count, dim, -kMaxLatent, kMaxLatent, "latents must be finite and within ±1e20");

  const auto make_worker = [&]() -> TileWork {
    const auto tile_decoder = std::make_shared<TileDecoder<Pixel>>(*this);
    return [=](std::size_t tile) {
      const std::size_t start = tile * kTileRows;
      const std::size_t rows = std::min(kTileRows, count - start);
      float* const latents = tile_decoder->latents();
      std::copy_n(z + start * dim, rows * dim, latents);
      std::fill(latents + rows * dim, latents + kTileRows * dim, 0.0F);
      tile_decoder->decode(0, rows, out + start * pixels);
    };
  };
  for_each_tile((count + kTileRows - 1) / kTileRows, threads, make_worker, poll);
}

template void Decoder::sample(std::uint64_t, std::uint64_t, std::size_t, float*, unsigned, const Poll&) const;
template void Decoder::sample(std::uint64_t, std::uint64_t, std::size_t, std::uint8_t*, unsigned, const Poll&) const;
template void Decoder::decode(const float*, std::size_t, float*, unsigned, const Poll&) const;
template void Decoder::decode(const float*, std::size_t, std::uint8_t*, unsigned, const Poll&) const;

}  // namespace digitvae
