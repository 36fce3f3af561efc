// The operators that a model of a role may use.
#pragma once

#include <string_view>

namespace digitvae::onnx {

// What a model is for, and so what it may hold.
enum class Role {
  kNetwork,  // a decoder, an encoder, a classifier: dense and convolutional layers, activations
  kMixture,  // prior.onnx: sums, products and the choice of a component
  kAny,      // a model of the user's own, as `digitvae verify --onnx` compares: every operator, also with graphs within
};

// Whether a model of that role may use this operator of ONNX itself. To allow another one, add it to the lists in
// operators.cpp, if it computes its outputs from its inputs alone, in a time that their sizes bound.
bool may_use(Role role, std::string_view op_type);

}  // namespace digitvae::onnx
