#include "engine/networks.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/tiles.hpp"
#include "error.hpp"
#include "random/latents.hpp"
#include "sparse/model.hpp"
#include "sparse/operator.hpp"
#include "sparse/product.hpp"

namespace digitvae {
namespace {

bool wants_dense() {
  const char* const value = secure_getenv("DIGITVAE_DENSE");
  return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
}

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

Networks::Networks(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes, Form form)
    : dense_(std::move(runtime), model, bytes),
      sparse_model_(form == Form::kDense || (form == Form::kWhicheverPays && wants_dense())
                        ? std::string()
                        : sparse::with_sparse_layer(model, bytes)),
      decided_(sparse_model_.empty()) {
  if (form == Form::kSparse) prepare_for(kWorthwhileRows);
}

void Networks::prepare_for(std::size_t rows) const {
  if (decided_.load(std::memory_order_acquire)) return;
  // However few rows a call is for, the weights have to come from memory.
  const std::size_t weight = std::max(rows, kWorthwhileRows / kWorthwhileCalls);
  if (rows_.fetch_add(weight, std::memory_order_relaxed) + weight < kWorthwhileRows) return;
  const std::lock_guard<std::mutex> lock(making_);
  if (decided_.load(std::memory_order_relaxed)) return;
  make_sparse();
  decided_.store(true, std::memory_order_release);
}

const Network& Networks::for_run(std::size_t rows) const {
  const Network* const sparse = usable_sparse_.load(std::memory_order_acquire);
  return sparse != nullptr && sparse::Product::pays(rows) ? *sparse : dense_;
}

void Networks::make_sparse() const {
  const std::string model = std::exchange(sparse_model_, {});
  try {
    auto sparse =
        std::make_unique<const Network>(dense_.session.runtime(), model.data(), model.size(), sparse::operators());
    if (sparse->session.inputs() == dense_.session.inputs() && sparse->session.outputs() == dense_.session.outputs() &&
        same_bits(dense_.session, sparse->session)) {
      sparse_ = std::move(sparse);
      usable_sparse_.store(sparse_.get(), std::memory_order_release);
    }
  } catch (const ModelError&) {           // an ONNX Runtime without operators of others, or weights not finite
  } catch (const RuntimeLibraryError&) {  // whatever it is, there is a network that works
  }
}

}  // namespace digitvae
