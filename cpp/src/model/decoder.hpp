// The decoder p(x|z) as a native generator: latents → images, tile by tile, on all threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "model/latents.hpp"
#include "model/metadata.hpp"
#include "model/networks.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

// Thread-safe: any number of calls may run on one decoder at the same time.
// Pixel is float (intensities in [0, 1]) or std::uint8_t (round-half-even(255 · x)).
class Decoder {
 public:
  // `model`: the bytes of decoder.onnx; not needed after the constructor returns. With Variant::kOptimized,
  // is_optimized() tells whether there is a twin.
  Decoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes,
          Variant variant = Variant::kWhicheverPays);

  const ModelInfo& info() const { return info_; }
  const Session& session() const { return networks_.reference().session; }

  // Whether multiplications by zero are left out of a run of that many rows (1 … kTileRows).
  bool is_optimized(std::size_t rows) const { return networks_.is_optimized(rows); }

  // Images first … first+count−1 of `source` into out [count, pixels], and their classes into labels
  // [count] unless it is null (which it must be without a mixture). Image i has the same bits however
  // the range is cut: tiles are aligned to the absolute index.
  template <typename Pixel>
  void sample(const LatentSource& source, std::uint64_t first, std::size_t count, Pixel* out, std::int32_t* labels,
              unsigned threads, const Poll& poll) const;

  // The latents of those images, into z [count, latent_dim].
  void latents(const LatentSource& source, std::uint64_t first, std::size_t count, float* z, std::int32_t* labels,
               unsigned threads, const Poll& poll) const;

  // z [count, latent_dim] → out [count, pixels]. Throws InvalidArgument, before any work, naming
  // the first row with a value that is NaN, infinite, or beyond ±kMaxLatent.
  template <typename Pixel>
  void decode(const float* z, std::size_t count, Pixel* out, unsigned threads, const Poll& poll) const;

 private:
  template <typename Pixel>
  class TileDecoder;

  Networks networks_;
  ModelInfo info_;
  mutable Workers workers_;
};

}  // namespace digitvae
