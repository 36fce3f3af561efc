// The decoder p(x|z) as a native generator: latents → images, tile by tile, on all threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/model.hpp"
#include "engine/tiles.hpp"

namespace digitvae {

// Latents beyond this could overflow inside the network and come out as NaN. The prior never
// leaves ±6.8.
inline constexpr float kMaxLatent = 1e20F;

// Thread-safe: any number of calls may run on one decoder at the same time.
// Pixel is float (intensities in [0, 1]) or std::uint8_t (round-half-even(255 · x)).
class Decoder {
 public:
  // `model`: the bytes of decoder.onnx; not needed after the constructor returns.
  Decoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes);

  const ModelInfo& info() const { return info_; }

  // Images first … first+count−1 of `seed`, z ~ N(0, I), into out [count, pixels]. Image i has the
  // same bits however the range is cut: tiles are aligned to the absolute index.
  template <typename Pixel>
  void sample(std::uint64_t seed, std::uint64_t first, std::size_t count, Pixel* out, unsigned threads,
              const Poll& poll) const;

  // z [count, latent_dim] → out [count, pixels]. Throws InvalidArgument, before any work, naming
  // the first row with a value that is NaN, infinite, or beyond ±kMaxLatent.
  template <typename Pixel>
  void decode(const float* z, std::size_t count, Pixel* out, unsigned threads, const Poll& poll) const;

 private:
  template <typename Pixel>
  class TileDecoder;

  Session session_;
  ModelInfo info_;
};

}  // namespace digitvae
