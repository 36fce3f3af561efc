// A network, and its optimized twin without multiplications by zero.
#pragma once

#include <cstddef>
#include <memory>

#include "model/tile_shapes.hpp"
#include "onnx/session.hpp"
#include "schedule/optimized.hpp"

namespace digitvae {

// A session, and the numbers of rows that it may be run with.
struct Network {
  template <typename... Arguments>
  explicit Network(Arguments&&... arguments) : session(std::forward<Arguments>(arguments)...), shapes(session) {}

  Session session;
  TileShapes shapes;
};

// Whether both compute the same bits for a tile of N(0, I).
bool same_bits(const Session& a, const Session& b);

// In the twin, the layer after the ReLU is sparse::Product.
class Networks {
 public:
  // `model`: not needed after the constructor returns. Throws what Session's constructor throws.
  Networks(std::shared_ptr<const Runtime> runtime, const onnx::Model& model, Variant variant = Variant::kWhicheverPays);

  const Network& reference() const { return reference_; }

  // To be told of every call and how many rows it is for. Thread-safe, like the next.
  void prepare_for(std::size_t rows) const { optimized_.prepare_for(rows); }
  void prepare() const { optimized_.prepare(); }  // now: for Variant::kOptimized

  // What to run `rows` rows with.
  const Network& for_run(std::size_t rows) const;

  // Whether a run of it ends soon.
  bool is_quick() const;

  // Whether that is the twin.
  bool is_optimized(std::size_t rows) const { return &for_run(rows) != &reference_; }

 private:
  Optimized<Network>::Make make_optimized(const onnx::Model& model) const;

  Network reference_;
  Optimized<Network> optimized_;
};

}  // namespace digitvae
