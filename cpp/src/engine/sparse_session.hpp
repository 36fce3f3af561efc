// The same network without multiplications by zero, for long work.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/session.hpp"

namespace digitvae {

// A second session in which the layer after the ReLU is sparse::Product. It gives the same bits sooner, which is
// found out by trial before it is used; but it takes some milliseconds to make. So it is made when a decoder has
// been asked for kWorthwhileRows, by when it would have paid for itself.
class SparseSession {
 public:
  // `dense` must outlive this; `model` is what it was made of, and not needed after the constructor returns.
  // DIGITVAE_DENSE in the environment (any value but 0) keeps to `dense`.
  SparseSession(const Session& dense, const void* model, std::size_t bytes);

  // What to run full tiles with, given that `rows` more rows are to come: `dense`, or the sparse one. Thread-safe.
  const Session& for_rows(std::size_t rows) const;

  static constexpr std::size_t kWorthwhileRows = 32'768;

 private:
  void make() const;

  const Session& dense_;
  mutable std::mutex making_;
  mutable std::string model_;  // empty once it was made or has turned out to be of no use
  mutable std::unique_ptr<const Session> sparse_;
  mutable std::atomic<const Session*> chosen_;
  mutable std::atomic<std::size_t> rows_{0};
  mutable std::atomic<bool> decided_;
};

}  // namespace digitvae
