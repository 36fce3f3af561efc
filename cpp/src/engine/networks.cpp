#include "engine/networks.hpp"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/tiles.hpp"
#include "random/latents.hpp"
#include "sparse/model.hpp"
#include "sparse/operator.hpp"
#include "sparse/product.hpp"

namespace digitvae {
namespace {

std::vector<float> run_tile(const Session& session, std::vector<float>& input, std::size_t outputs) {
  std::vector<float> output(kTileRows * outputs);
  const Session::Tensor x(session, input.data(), kTileRows, input.size() / kTileRows);
  const Session::Tensor y(session, output.data(), kTileRows, outputs);
  session.run({&x}, {&y});
  return output;
}

}  // namespace

// Every bit of a hundred thousand sums of real samples. The order in which a kernel adds does not depend on
// the values, so that sums that agree here agree always.
bool same_bits(const Session& a, const Session& b) {
  const auto inputs = static_cast<std::size_t>(a.inputs().front().shape[1]);
  const auto outputs = static_cast<std::size_t>(a.outputs().front().shape[1]);
  std::vector<float> input(kTileRows * inputs);
  fill_standard_normal(0, Stream::kLatent, 0, kTileRows, inputs, input.data());
  const std::vector<float> first = run_tile(a, input, outputs);
  const std::vector<float> second = run_tile(b, input, outputs);
  return std::memcmp(first.data(), second.data(), first.size() * sizeof(float)) == 0;
}

Networks::Networks(std::shared_ptr<const Runtime> runtime, const onnx_file::Model& model, Form form)
    : dense_(std::move(runtime), model), sparse_(may_be_second(form) ? make_sparse(model) : nullptr) {}

const Network& Networks::for_run(std::size_t rows) const {
  const Network* const sparse = sparse_.get();
  return sparse != nullptr && sparse::Product::pays(rows) ? *sparse : dense_;
}

bool Networks::is_quick() const {
  const Network* const sparse = sparse_.get();
  return dense_.session.is_quick() || (sparse != nullptr && sparse->session.is_quick());
}

SecondForm<Network>::Make Networks::make_sparse(const onnx_file::Model& model) const {
  std::string changed = sparse::with_sparse_layer(model);
  if (changed.empty()) return nullptr;
  return [this, changed = std::move(changed)]() -> std::unique_ptr<const Network> {
    const Session& dense = dense_.session;
    auto sparse = std::make_unique<const Network>(dense.runtime(), changed, sparse::operators());
    const bool fits = sparse->session.inputs() == dense.inputs() && sparse->session.outputs() == dense.outputs();
    return fits && same_bits(dense, sparse->session) ? std::move(sparse) : nullptr;
  };
}

}  // namespace digitvae
