// sparse::Product as an operator of ONNX Runtime: domain "digitvae", name "SparseProduct", inputs
// hidden float32 [batch, inputs], weights float32 [outputs, inputs] and bias float32 [outputs] (both constant),
// output float32 [batch, outputs].
#pragma once

#include "kernels/sparse/product.hpp"
#include "onnx/session.hpp"

namespace digitvae::sparse {

inline constexpr const char* kDomain = "digitvae";
inline constexpr const char* kOperator = "SparseProduct";

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
