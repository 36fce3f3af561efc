// sparse::Product as an operator of ONNX Runtime: domain "digitvae", name "SparseProduct", inputs
// hidden float32 [batch, inputs], weights float32 [outputs, inputs] and bias float32 [outputs] (both constant),
// output float32 [batch, outputs].
#pragma once

#include <string>

#include "kernels/sparse/product.hpp"
#include "onnx/session.hpp"

namespace digitvae::sparse {

inline constexpr const char* kDomain = "digitvae";
inline constexpr const char* kOperator = "SparseProduct";

// The model with its dense layer after a ReLU (a Gemm without scaling, weights [outputs, inputs]) handed to
// the operator SparseProduct; empty if it has no such layer, or none of a size that sparse::Product supports
// on this processor. Nothing else of it is changed.
std::string with_sparse_layer(const onnx::Model& model);

// For the constructor of a Session whose model uses the operator.
Session::Operators operators();

// While it lives, this thread's runs of the operator are shared with the threads that `on_all` reaches.
class Sharing {
 public:
  explicit Sharing(const Product::OnAll& on_all);
  ~Sharing();
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;

 private:
  const Product::OnAll* before_;
};

}  // namespace digitvae::sparse
