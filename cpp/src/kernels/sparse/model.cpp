#include "kernels/sparse/model.hpp"

#include <cstdint>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

#include "kernels/sparse/operator.hpp"
#include "kernels/sparse/product.hpp"
#include "onnx/model_file.hpp"

namespace digitvae::sparse {
namespace {

using onnx::Graph;
using onnx::Node;

// Gemm(x, weights, bias) = x · weightsᵀ + bias, nothing else.
bool is_plain_dense_layer(const Node& node) {
  if (!node.is("Gemm") || node.inputs.size() != 3) return false;
  std::uint64_t one = 0;
  const float one_float = 1.0F;
  std::memcpy(&one, &one_float, sizeof one_float);
  std::map<std::string_view, std::uint64_t> settings = {{"alpha", one}, {"beta", one}, {"transA", 0}, {"transB", 0}};
  for (const auto& [name, value] : node.attributes) settings[name] = value;
  return settings == decltype(settings){{"alpha", one}, {"beta", one}, {"transA", 0}, {"transB", 1}};
}

bool has_supported_size(const Graph& graph, const Node& layer) {
  const onnx::Initializer* const weights = graph.initializer(layer.inputs[1]);
  const onnx::Initializer* const bias = graph.initializer(layer.inputs[2]);
  if (weights == nullptr || bias == nullptr) return false;
  if (weights->dims.size() != 2 || bias->dims != std::vector{weights->dims[0]}) return false;
  return Product::supports(static_cast<std::size_t>(weights->dims[1]), static_cast<std::size_t>(weights->dims[0]));
}

// The node to replace; null if there is none.
const Node* find_layer(const Graph& graph) {
  for (const Node& layer : graph.nodes) {
    if (!is_plain_dense_layer(layer) || !has_supported_size(graph, layer)) continue;
    const Node* const before = graph.maker_of(layer.inputs[0]);
    if (before != nullptr && before->is("Relu")) return &layer;
  }
  return nullptr;
}

}  // namespace

std::string with_sparse_layer(const onnx::Model& model) {
  const Node* const layer = find_layer(model.graph());
  return layer == nullptr ? std::string() : model.with_operator(*layer, kOperator, kDomain);
}

}  // namespace digitvae::sparse
