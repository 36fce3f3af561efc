#include "engine/tile_shapes.hpp"

#include <algorithm>
#include <cstring>
#include <list>
#include <vector>

#include "error.hpp"
#include "random/latents.hpp"

namespace digitvae {
namespace {

constexpr std::uint64_t kProbes = 2;

std::size_t columns(const TensorSpec& spec) { return static_cast<std::size_t>(spec.shape[1]); }

// All outputs for `rows` copies of `row`, one vector for each output.
std::vector<std::vector<float>> run_copies(const Session& session, const std::vector<float>& row, std::size_t rows) {
  std::vector<float> input;
  for (std::size_t i = 0; i < rows; ++i) input.insert(input.end(), row.begin(), row.end());
  const Session::Tensor input_tensor(session, input.data(), rows, row.size());
  std::vector<std::vector<float>> outputs;
  std::list<Session::Tensor> output_tensors;
  std::vector<const Session::Tensor*> list;
  for (const TensorSpec& spec : session.outputs()) {
    outputs.emplace_back(rows * columns(spec));
    list.push_back(&output_tensors.emplace_back(session, outputs.back().data(), rows, columns(spec)));
  }
  const Session::Tensor* const inputs[] = {&input_tensor};
  session.run(inputs, 1, list.data(), list.size());
  return outputs;
}

// Every row of `rows` rows has the bits of `expected`.
bool all_rows_are(const std::vector<float>& rows, const float* expected, std::size_t width) {
  for (std::size_t start = 0; start < rows.size(); start += width) {
    if (std::memcmp(rows.data() + start, expected, width * sizeof(float)) != 0) return false;
  }
  return true;
}

bool same_rows(const std::vector<std::vector<float>>& outputs, const std::vector<std::vector<float>>& tile) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!all_rows_are(outputs[i], tile[i].data(), tile[i].size() / kTileRows)) return false;
  }
  return true;
}

}  // namespace

TileShapes::TileShapes(const Session& session) : session_(session) {}

std::size_t TileShapes::rows_for(std::size_t rows) const {
  if (rows > kSmall.back()) return kTileRows;
  if (!tried_.load(std::memory_order_acquire)) {
    const std::lock_guard<std::mutex> lock(trying_);
    if (!tried_.load(std::memory_order_relaxed)) {
      try_small_shapes();
      tried_.store(true, std::memory_order_release);
    }
  }
  for (std::size_t i = 0; i < kSmall.size(); ++i) {
    if (same_bits_[i] && rows <= kSmall[i]) return kSmall[i];
  }
  return kTileRows;
}

void TileShapes::try_small_shapes() const {
  std::array<bool, kSmall.size()> same{};
  same.fill(true);
  std::vector<float> row(columns(session_.inputs().front()));
  for (std::uint64_t probe = 0; probe < kProbes; ++probe) {
    fill_standard_normal(0, Stream::kLatent, probe, 1, row.size(), row.data());
    const std::vector<std::vector<float>> tile = run_copies(session_, row, kTileRows);
    const bool position_matters = !same_rows(tile, tile);
    for (std::size_t i = 0; i < kSmall.size(); ++i) {
      try {
        same[i] = same[i] && !position_matters && same_rows(run_copies(session_, row, kSmall[i]), tile);
      } catch (const RuntimeLibraryError&) {
        same[i] = false;  // a model that insists on its own number of rows
      }
    }
  }
  same_bits_ = same;
}

}  // namespace digitvae
