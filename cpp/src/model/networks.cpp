#include "model/networks.hpp"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/sparse/operator.hpp"
#include "kernels/sparse/product.hpp"
#include "random/latents.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

// Every bit of a hundred thousand sums of real samples. The order in which a kernel adds does not depend on
// the values, so that sums that agree here agree always.
bool same_bits(const Session& a, const Session& b) {
  const auto inputs = static_cast<std::size_t>(a.inputs().front().shape[1]);
  std::vector<float> input(kTileRows * inputs);
  fill_standard_normal(0, Stream::kLatent, 0, kTileRows, inputs, input.data());
  const std::vector<float> first = run_rows(a, input).front();
  const std::vector<float> other = run_rows(b, input).front();
  return std::memcmp(first.data(), other.data(), first.size() * sizeof(float)) == 0;
}

Networks::Networks(std::shared_ptr<const Runtime> runtime, const onnx::Model& model, Variant variant)
    : reference_(std::move(runtime), model), optimized_(may_optimize(variant) ? make_optimized(model) : nullptr) {}

const Network& Networks::for_run(std::size_t rows) const {
  const Network* const optimized = optimized_.get();
  return optimized != nullptr && sparse::Product::pays(rows) ? *optimized : reference_;
}

bool Networks::is_quick() const {
  const Network* const optimized = optimized_.get();
  return reference_.session.is_quick() || (optimized != nullptr && optimized->session.is_quick());
}

Optimized<Network>::Make Networks::make_optimized(const onnx::Model& model) const {
  std::string changed = sparse::with_sparse_layer(model);
  if (changed.empty()) return nullptr;
  return [this, changed = std::move(changed)]() -> std::unique_ptr<const Network> {
    const Session& reference = reference_.session;
    auto twin = std::make_unique<const Network>(reference.runtime(), changed, sparse::operators());
    const bool fits = twin->session.inputs() == reference.inputs() && twin->session.outputs() == reference.outputs();
    return fits && same_bits(reference, twin->session) ? std::move(twin) : nullptr;
  };
}

}  // namespace digitvae
