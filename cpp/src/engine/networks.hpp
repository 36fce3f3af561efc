// One model in up to two forms: as it is, and without multiplications by zero.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "engine/tile_shapes.hpp"
#include "runtime/session.hpp"

namespace digitvae {

// A session, and the numbers of rows that it may be run with.
struct Network {
  template <typename... Arguments>
  explicit Network(Arguments&&... arguments) : session(std::forward<Arguments>(arguments)...), shapes(session) {}

  Session session;
  TileShapes shapes;
};

// Which of the two forms of a model to use. They give the same bits; to compare them, each can be asked for.
enum class Form { kWhicheverPays, kDense, kSparse };

// Whether both compute the same bits for a tile of N(0, I).
bool same_bits(const Session& a, const Session& b);

// In the second form the layer after the ReLU is sparse::Product. It gives the same bits sooner, which is found
// out by trial before it is used; but it takes some milliseconds to make. So it is made when so much has been
// asked for that it would have paid for itself.
class Networks {
 public:
  // `model`: not needed after the constructor returns. Throws what Session's constructor throws. DIGITVAE_DENSE
  // in the environment (any value but 0) turns kWhicheverPays into kDense. kSparse makes the second form at once;
  // where it cannot be used, is_sparse() says so.
  Networks(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes,
           Form form = Form::kWhicheverPays);

  const Network& dense() const { return dense_; }

  // To be told of every call and how many rows it is for. Thread-safe, like the next.
  void prepare_for(std::size_t rows) const;

  // What to run `rows` rows with.
  const Network& for_run(std::size_t rows) const;

  // Whether that is the second form.
  bool is_sparse(std::size_t rows) const { return &for_run(rows) != &dense_; }

  static constexpr std::size_t kWorthwhileRows = 8'192;
  static constexpr std::size_t kWorthwhileCalls = 512;  // of few rows

 private:
  void make_sparse() const;

  Network dense_;
  mutable std::mutex making_;
  mutable std::string sparse_model_;  // empty once it was made or has turned out to be of no use
  mutable std::unique_ptr<const Network> sparse_;
  mutable std::atomic<const Network*> usable_sparse_{nullptr};
  mutable std::atomic<std::size_t> rows_{0};
  mutable std::atomic<bool> decided_;
};

}  // namespace digitvae
