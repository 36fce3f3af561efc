#include "engine/encoder.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "engine/pixels.hpp"

namespace digitvae {
namespace {

// One thread's scratch, already wrapped as tensors.
struct TileEncoder {
  TileEncoder(const Session& session, std::size_t pixels, std::size_t dim)
      : x(kTileRows * pixels),
        mu(kTileRows * dim),
        logvar(kTileRows * dim),
        x_tensor(session, x.data(), kTileRows, pixels),
        mu_tensor(session, mu.data(), kTileRows, dim),
        logvar_tensor(session, logvar.data(), kTileRows, dim) {}

  std::vector<float> x;
  std::vector<float> mu;
  std::vector<float> logvar;
  Session::Tensor x_tensor;
  Session::Tensor mu_tensor;
  Session::Tensor logvar_tensor;
};

}  // namespace

Encoder::Encoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes)
    : session_(std::move(runtime), model, bytes), info_(read_model_info(session_)) {
  require_interface(session_, {{"x", info_.pixels()}}, {{"mu", info_.latent_dim}, {"logvar", info_.latent_dim}});
}

template <typename Pixel>
void Encoder::encode(const Pixel* x, std::size_t count, float* mu, float* logvar, unsigned threads,
                     const Poll& poll) const {
  const std::size_t pixels = info_.pixels();
  const std::size_t dim = info_.latent_dim;
  if constexpr (std::is_same_v<Pixel, float>) require_within(x, count, pixels, 0.0F, 1.0F, "images must lie in [0, 1]");

  const auto make_worker = [&]() -> TileWork {
    const auto scratch = std::make_shared<TileEncoder>(session_, pixels, dim);
    return [=](std::size_t tile) {
      const std::size_t start = tile * kTileRows;
      const std::size_t rows = std::min(kTileRows, count - start);
      if constexpr (std::is_same_v<Pixel, float>) {
        std::copy_n(x + start * pixels, rows * pixels, scratch->x.data());
      } else {
        intensities_from_pixels(x + start * pixels, rows * pixels, scratch->x.data());
      }
      std::fill(scratch->x.begin() + static_cast<std::ptrdiff_t>(rows * pixels), scratch->x.end(), 0.0F);
      session_.run(scratch->x_tensor, {&scratch->mu_tensor, &scratch->logvar_tensor});
      std::copy_n(scratch->mu.data(), rows * dim, mu + start * dim);
      std::copy_n(scratch->logvar.data(), rows * dim, logvar + start * dim);
    };
  };
  for_each_tile((count + kTileRows - 1) / kTileRows, threads, make_worker, poll);
}

template void Encoder::encode(const float*, std::size_t, float*, float*, unsigned, const Poll&) const;
template void Encoder::encode(const std::uint8_t*, std::size_t, float*, float*, unsigned, const Poll&) const;

}  // namespace digitvae
