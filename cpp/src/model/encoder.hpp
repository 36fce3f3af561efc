// The encoder q(z|x): images → mean and log-variance of the posterior, tile by tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "model/metadata.hpp"
#include "model/tile_shapes.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

// Thread-safe: any number of calls may run on one encoder at the same time.
class Encoder {
 public:
  // `model`: the bytes of encoder.onnx; not needed after the constructor returns.
  Encoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes);

  const ModelInfo& info() const { return info_; }
  const Session& session() const { return session_; }

  // x [count, pixels] → mu, logvar [count, latent_dim]. Pixel is float (must lie in [0, 1], else
  // InvalidArgument naming the first offending row, before any work) or std::uint8_t (÷ 255).
  template <typename Pixel>
  void encode(const Pixel* x, std::size_t count, float* mu, float* logvar, unsigned threads, const Poll& poll) const;

 private:
  Session session_;
  ModelInfo info_;
  mutable Workers workers_;
  TileShapes shapes_;
};

}  // namespace digitvae
