#include "model/mixture.hpp"

#include <cstring>
#include <optional>
#include <utility>

#include "random/latents.hpp"

namespace digitvae {

Mixture::Mixture(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes, Variant variant)
    : Mixture(std::move(runtime), onnx::Model(model, bytes, onnx::Role::kMixture), variant) {}

Mixture::Mixture(std::shared_ptr<const Runtime> runtime, const onnx::Model& model, Variant variant)
    : session_(std::move(runtime), model),
      info_(read_prior_info(session_)),
      optimized_(may_optimize(variant) ? make_optimized(model.graph()) : nullptr) {
  require_interface(
      session_,
      {batch_of_scalars("u", "float32"), batch_of_scalars("digit", "int64"), batch_of("eps", info_.latent_dim)},
      {batch_of("z", info_.latent_dim), batch_of_scalars("label", "int64")});
  if (variant == Variant::kOptimized) optimized_.prepare();
}

Mixture::Tile::Tile(const Mixture& mixture)
    : u(kTileRows),
      digit(kTileRows),
      noise(kTileRows * mixture.info_.latent_dim),
      latents(noise.size()),
      label(kTileRows),
      session_(mixture.session_),
      optimized_(mixture.optimized_.get()),
      u_(session_, u.data(), kTileRows),
      digit_(session_, digit.data(), kTileRows),
      noise_(session_, noise.data(), kTileRows, mixture.info_.latent_dim),
      latents_(session_, latents.data(), kTileRows, mixture.info_.latent_dim),
      label_(session_, label.data(), kTileRows) {}

void Mixture::Tile::draw(const mixture::Parameters& p, std::size_t begin, std::size_t rows, float* z) {
  mixture::draw(p, u.data() + begin, digit.data() + begin, noise.data() + begin * p.latents, rows, z,
                label.data() + begin);
}

// Wherever another component or label is chosen. The order in which a kernel adds does not depend on the values, so
// that sums that agree here agree always.
bool Mixture::gives_same_bits(const mixture::Parameters& p) const {
  const mixture::Choices choices = mixture::every_choice(p);
  Tile tile(*this);
  std::vector<float> z(tile.latents.size());
  for (std::size_t start = 0; start < choices.u.size(); start += kTileRows) {
    const std::size_t rows = std::min(kTileRows, choices.u.size() - start);
    std::copy_n(choices.u.data() + start, rows, tile.u.data());
    std::copy_n(choices.digit.data() + start, rows, tile.digit.data());
    fill_standard_normal(0, Stream::kLatent, start, kTileRows, p.rank, p.latents, tile.noise.data());
    tile.run();
    const std::vector<std::int64_t> label = tile.label;
    tile.draw(p, 0, kTileRows, z.data());
    const bool agrees = std::memcmp(z.data(), tile.latents.data(), z.size() * sizeof(float)) == 0;
    if (!agrees || tile.label != label) return false;
  }
  return true;
}

Optimized<mixture::Parameters>::Make Mixture::make_optimized(const onnx::Graph& graph) const {
  std::optional<mixture::Parameters> read =
      mixture::read_parameters(graph, info_.labels, info_.noise_dim, info_.latent_dim);
  if (!read) return nullptr;
  return [this, p = std::move(*read)]() -> std::unique_ptr<const mixture::Parameters> {
    return gives_same_bits(p) ? std::make_unique<const mixture::Parameters>(p) : nullptr;
  };
}

}  // namespace digitvae
