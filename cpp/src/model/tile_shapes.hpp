// Smaller runs that give the same bits as a full tile.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

#include "onnx/session.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

// What a session computes in one run: [rows, columns] of each output.
using Outputs = std::vector<std::vector<float>>;

// input [rows, columns]; all outputs must have two dimensions.
Outputs run_rows(const Session& session, std::vector<float> input);

// Some images in a full tile cost as much as the whole tile. Whether this processor's kernels round a row the
// same way in a smaller run is found out by trial, for each number of rows when it first comes up: copies of
// one row fill a full tile and a smaller run, and every row of both must come out the same to the bit. The
// order in which a kernel adds does not depend on the values, so a few thousand sums that agree leave no room
// for another order; where any bit differs, full tiles are used.
class TileShapes {
 public:
  // `session`: one float32 input [batch, n] and outputs [batch, …]; must outlive this.
  explicit TileShapes(const Session& session);

  // The number of rows to run for `rows` (1 … kTileRows) of them: that number, or a full tile. Thread-safe.
  // The first call with a number runs the model a few times. Throws Cancelled if the call is stopped meanwhile.
  std::size_t rows_for(std::size_t rows) const;

 private:
  enum class Answer : unsigned char { kUnknown, kSameBits, kOtherBits };

  Answer try_rows(std::size_t rows) const;

  const Session& session_;
  // Not a std::once_flag: an exception from its call (out of memory) leaves it locked for ever on some
  // systems, and under ThreadSanitizer.
  mutable std::mutex trying_;
  mutable std::array<std::atomic<Answer>, kTileRows> answers_{};
  mutable Outputs expected_;  // one row, in a full tile; none if they depend on their place
  mutable bool has_expected_ = false;
};

}  // namespace digitvae
