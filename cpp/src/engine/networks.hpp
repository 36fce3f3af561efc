// One model in up to two forms: as it is, and without multiplications by zero.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/second_form.hpp"
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

// Whether both compute the same bits for a tile of N(0, I).
bool same_bits(const Session& a, const Session& b);

// In the second form the layer after the ReLU is sparse::Product.
class Networks {
 public:
  // `model`: not needed after the constructor returns. Throws what Session's constructor throws.
  Networks(std::shared_ptr<const Runtime> runtime, const onnx_file::Model& model, Form form = Form::kWhicheverPays);

  const Network& dense() const { return dense_; }

  // To be told of every call and how many rows it is for. Thread-safe, like the next.
  void prepare_for(std::size_t rows) const { sparse_.prepare_for(rows); }
  void prepare() const { sparse_.prepare(); }  // now: for Form::kSecond, which does not do it by itself

  // What to run `rows` rows with.
  const Network& for_run(std::size_t rows) const;

  // Whether a run of it ends soon.
  bool is_quick() const;

  // Whether that is the second form.
  bool is_sparse(std::size_t rows) const { return &for_run(rows) != &dense_; }

 private:
  SecondForm<Network>::Make make_sparse(const onnx_file::Model& model) const;

  Network dense_;
  SecondForm<Network> sparse_;
};

}  // namespace digitvae
