#include "engine/sparse_session.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine/tiles.hpp"
#include "error.hpp"
#include "random/latents.hpp"
#include "sparse/model.hpp"
#include "sparse/operator.hpp"

namespace digitvae {
namespace {

constexpr std::uint64_t kTrialTiles = 2;

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

// Every bit of some hundred thousand sums of real samples. The order in which a kernel adds does not depend on
// the values, so that sums that agree here agree always.
bool same_bits(const Session& a, const Session& b) {
  const auto inputs = static_cast<std::size_t>(a.inputs().front().shape[1]);
  const auto outputs = static_cast<std::size_t>(a.outputs().front().shape[1]);
  std::vector<float> input(kTileRows * inputs);
  for (std::uint64_t tile = 0; tile < kTrialTiles; ++tile) {
    fill_standard_normal(0, Stream::kLatent, tile * kTileRows, kTileRows, inputs, input.data());
    const std::vector<float> first = run_tile(a, input, outputs);
    const std::vector<float> second = run_tile(b, input, outputs);
    if (std::memcmp(first.data(), second.data(), first.size() * sizeof(float)) != 0) return false;
  }
  return true;
}

}  // namespace

SparseSession::SparseSession(const Session& dense, const void* model, std::size_t bytes)
    : dense_(dense),
      model_(wants_dense() ? std::string() : sparse::with_sparse_layer(model, bytes)),
      chosen_(&dense),
      decided_(model_.empty()) {}

const Session& SparseSession::for_rows(std::size_t rows) const {
  if (!decided_.load(std::memory_order_acquire) &&
      rows_.fetch_add(rows, std::memory_order_relaxed) + rows >= kWorthwhileRows) {
    const std::lock_guard<std::mutex> lock(making_);
    if (!decided_.load(std::memory_order_relaxed)) {
      make();
      decided_.store(true, std::memory_order_release);
    }
  }
  return *chosen_.load(std::memory_order_acquire);
}

void SparseSession::make() const {
  const std::string model = std::move(model_);
  model_.clear();
  try {
    sparse_ = std::make_unique<const Session>(dense_.runtime(), model.data(), model.size(), sparse::operators());
    if (sparse_->inputs() == dense_.inputs() && sparse_->outputs() == dense_.outputs() && same_bits(dense_, *sparse_)) {
      chosen_.store(sparse_.get(), std::memory_order_release);
      return;
    }
  } catch (const ModelError&) {           // an ONNX Runtime without operators of others
  } catch (const RuntimeLibraryError&) {  // weights that are not finite: dense it is
  }
  sparse_.reset();
}

}  // namespace digitvae
