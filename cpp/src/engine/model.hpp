// What a digitvae ONNX file says of itself in its metadata, checked against its graph.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/session.hpp"

namespace digitvae {

inline constexpr const char* kSchema = "digitvae-bundle/1";

struct ModelInfo {
  std::size_t latent_dim;
  std::size_t height;
  std::size_t width;
  std::string dataset;

  std::size_t pixels() const { return height * width; }
};

// Read `digitvae.*` from the model's metadata. Throws ModelError: missing, not a number, unknown schema.
ModelInfo read_model_info(const Session& session);

// Throws ModelError unless the graph has exactly these tensors, in this order.
void require_interface(const Session& session, const std::vector<TensorSpec>& inputs,
                       const std::vector<TensorSpec>& outputs);

// Throws InvalidArgument unless every value of `rows` lies in [low, high] (NaN does not); the
// message names `what`, the first offending row and column, and the value.
void require_within(const float* rows, std::size_t count, std::size_t columns, float low, float high,
                    const std::string& what);

}  // namespace digitvae
