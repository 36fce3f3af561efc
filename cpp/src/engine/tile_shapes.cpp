#include "engine/tile_shapes.hpp"

#include <algorithm>
#include <cstring>
#include <list>
#include <vector>

#include "error.hpp"
#include "random/latents.hpp"

namespace digitvae {
namespace {

constexpr std::uint64_t kProbes = 1;

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

std::vector<float> probe_row(const Session& session, std::uint64_t probe) {
  std::vector<float> row(columns(session.inputs().front()));
  fill_standard_normal(0, Stream::kLatent, probe, 1, row.size(), row.data());
  return row;
}

bool all_are(const std::vector<std::vector<float>>& outputs, const std::vector<std::vector<float>>& expected) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!all_rows_are(outputs[i], expected[i].data(), expected[i].size())) return false;
  }
  return true;
}

}  // namespace

TileShapes::TileShapes(const Session& session) : session_(session) {}

std::size_t TileShapes::rows_for(std::size_t rows) const {
  if (rows == kTileRows) return kTileRows;
  std::atomic<Answer>& answer = answers_[rows];
  if (answer.load(std::memory_order_acquire) == Answer::kUnknown) {
    const InRuntime inside;
    const std::unique_lock<std::mutex> lock(trying_, std::try_to_lock);
    if (!lock) return kTileRows;  // another thread tries, with a model that may take minutes: there is the full tile
    if (answer.load(std::memory_order_relaxed) == Answer::kUnknown) {
      answer.store(try_rows(rows), std::memory_order_release);
    }
  }
  return answer.load(std::memory_order_acquire) == Answer::kSameBits ? rows : kTileRows;
}

TileShapes::Answer TileShapes::try_rows(std::size_t rows) const {
  if (!has_expected_ && !find_expected_rows()) expected_.clear();
  has_expected_ = true;
  if (expected_.empty()) return Answer::kOtherBits;
  for (std::uint64_t probe = 0; probe < kProbes; ++probe) {
    try {
      if (!all_are(run_copies(session_, probe_row(session_, probe), rows), expected_[probe])) return Answer::kOtherBits;
    } catch (const RuntimeLibraryError&) {
      return Answer::kOtherBits;  // a model that insists on its own number of rows
    }
  }
  return Answer::kSameBits;
}

bool TileShapes::find_expected_rows() const {
  expected_.clear();
  for (std::uint64_t probe = 0; probe < kProbes; ++probe) {
    const std::vector<std::vector<float>> tile = run_copies(session_, probe_row(session_, probe), kTileRows);
    Rows& rows = expected_.emplace_back();
    for (const std::vector<float>& output : tile) {
      rows.emplace_back(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(output.size() / kTileRows));
    }
    if (!all_are(tile, rows)) return false;
  }
  return true;
}

}  // namespace digitvae
