#include "model/encoder.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.hpp"
#include "kernels/pixels.hpp"
#include "schedule/call.hpp"

namespace digitvae {
namespace {

void require_finite(const float* values, std::size_t count, const std::string& what) {
  constexpr float kMax = std::numeric_limits<float>::max();
  const std::size_t index = first_outside(values, count, -kMax, kMax);
  if (index == count) return;
  throw ModelError("the encoder computed " + text_of(values[index], -kMax, kMax) + " for " + what +
                   ", expected a number");
}

}  // namespace

Encoder::Encoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes)
    : session_(std::move(runtime), onnx::Model(model, bytes, onnx::Role::kNetwork)),
      info_(read_network_info(session_)),
      shapes_(session_) {
  require_interface(session_, {batch_of("x", info_.pixels())},
                    {batch_of("mu", info_.latent_dim), batch_of("logvar", info_.latent_dim)});
}

template <typename Pixel>
void Encoder::encode(const Pixel* x, std::size_t count, float* mu, float* logvar, unsigned threads,
                     const Poll& poll) const {
  const std::size_t pixels = info_.pixels();
  const std::size_t dim = info_.latent_dim;
  const auto make_worker = [&]() -> TileWork {
    const std::size_t most_rows = shapes_.rows_for(std::min(count, kTileRows));
    const std::shared_ptr<float[]> scratch(new float[most_rows * (pixels + 2 * dim)]);
    return [=](std::size_t tile) {
      float* const tile_x = scratch.get();
      float* const tile_mu = tile_x + most_rows * pixels;
      float* const tile_logvar = tile_mu + most_rows * dim;
      const std::size_t start = tile * kTileRows;
      const std::size_t rows = std::min(kTileRows, count - start);
      const std::size_t shape = shapes_.rows_for(rows);
      if constexpr (std::is_same_v<Pixel, float>) {
        std::copy_n(x + start * pixels, rows * pixels, tile_x);
      } else {
        intensities_from_pixels(x + start * pixels, rows * pixels, tile_x);
      }
      std::fill(tile_x + rows * pixels, tile_x + shape * pixels, 0.0F);
      const Session::Tensor x_tensor(session_, tile_x, shape, pixels);
      const Session::Tensor mu_tensor(session_, tile_mu, shape, dim);
      const Session::Tensor logvar_tensor(session_, tile_logvar, shape, dim);
      session_.run({&x_tensor}, {&mu_tensor, &logvar_tensor});
      require_finite(tile_mu, rows * dim, "mu");
      require_finite(tile_logvar, rows * dim, "logvar");
      std::copy_n(tile_mu, rows * dim, mu + start * dim);
      std::copy_n(tile_logvar, rows * dim, logvar + start * dim);
    };
  };
  run_call(session_.is_quick(), poll, [&](const Poll& asked) {
    if constexpr (std::is_same_v<Pixel, float>) {
      require_within(x, count, pixels, 0.0F, 1.0F, "images must lie in [0, 1]", asked);
    }
    for_each_tile(workers_, (count + kTileRows - 1) / kTileRows, threads, make_worker, asked);
  });
}

template void Encoder::encode(const float*, std::size_t, float*, float*, unsigned, const Poll&) const;
template void Encoder::encode(const std::uint8_t*, std::size_t, float*, float*, unsigned, const Poll&) const;

}  // namespace digitvae
