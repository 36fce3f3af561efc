#include "model/tile_shapes.hpp"

#include <cstring>
#include <list>

#include "base/error.hpp"
#include "random/latents.hpp"

namespace digitvae {
namespace {

std::size_t columns(const TensorSpec& spec) { return static_cast<std::size_t>(spec.shape[1]); }

// Of each output, every row has the bits of the one that is expected.
bool all_rows_are(const Outputs& outputs, const Outputs& expected) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::size_t width = expected[i].size();
    for (std::size_t start = 0; start < outputs[i].size(); start += width) {
      if (std::memcmp(outputs[i].data() + start, expected[i].data(), width * sizeof(float)) != 0) return false;
    }
  }
  return true;
}

// Copies of one row.
Outputs run_copies(const Session& session, std::size_t rows) {
  std::vector<float> row(columns(session.inputs().front()));
  fill_standard_normal(0, Stream::kLatent, 0, 1, row.size(), row.data());
  std::vector<float> input;
  for (std::size_t i = 0; i < rows; ++i) input.insert(input.end(), row.begin(), row.end());
  return run_rows(session, std::move(input));
}

}  // namespace

Outputs run_rows(const Session& session, std::vector<float> input) {
  const std::size_t width = columns(session.inputs().front());
  const std::size_t rows = input.size() / width;
  const Session::Tensor input_tensor(session, input.data(), rows, width);
  Outputs outputs;
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
  if (!has_expected_) {
    Outputs tile = run_copies(session_, kTileRows);
    Outputs first = tile;
    for (std::vector<float>& output : first) output.resize(output.size() / kTileRows);
    if (all_rows_are(tile, first)) expected_ = std::move(first);
    has_expected_ = true;
  }
  if (expected_.empty()) return Answer::kOtherBits;
  try {
    return all_rows_are(run_copies(session_, rows), expected_) ? Answer::kSameBits : Answer::kOtherBits;
  } catch (const RuntimeLibraryError&) {
    return Answer::kOtherBits;  // a model that insists on its own number of rows
  }
}

}  // namespace digitvae
