// A decoder as an ONNX file, changed to use sparse::Product.
#pragma once

#include <string>

#include "onnx/model_file.hpp"

namespace digitvae::sparse {

// The model with its dense layer after a ReLU (a Gemm without scaling, weights [outputs, inputs]) handed to
// the operator SparseProduct; empty if it has no such layer, or none of a size that sparse::Product supports
// on this processor. Nothing else of it is changed.
std::string with_sparse_layer(const onnx::Model& model);

}  // namespace digitvae::sparse
