// What a digitvae ONNX file says of itself in its metadata, checked against its graph.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "onnx/session.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

inline constexpr const char* kSchema = "digitvae-bundle/1";

// Latents beyond this could overflow inside the network and come out as NaN. The prior N(0, I) never
// leaves ±6.8.
inline constexpr float kMaxLatent = 1e20F;

struct ModelInfo {
  std::size_t latent_dim;
  std::size_t height;  // 0 for a prior, like width
  std::size_t width;
  std::size_t labels;     // classes of a prior; 0 for the others
  std::size_t noise_dim;  // leading columns of its `eps` that a prior reads; 0 for the others
  std::string dataset;

  std::size_t pixels() const { return height * width; }
};

// Read `digitvae.*` from the metadata of a decoder or encoder, or of a prior. Throws ModelError:
// missing, not a number, unknown schema.
ModelInfo read_network_info(const Session& session);
ModelInfo read_prior_info(const Session& session);

// The interface of a tensor with a dynamic batch: [batch, columns], or [batch].
TensorSpec batch_of(const std::string& name, std::size_t columns);
TensorSpec batch_of_scalars(const std::string& name, const std::string& type);

// Throws ModelError unless the graph has exactly these tensors, in this order.
void require_interface(const Session& session, const std::vector<TensorSpec>& inputs,
                       const std::vector<TensorSpec>& outputs);

// A number for a message that says it should lie in [low, high]: "-1.19209e-07". If it does not, in as many digits,
// six or more, as tell it from what does.
std::string text_of(double value, double low, double high);

// Throws InvalidArgument unless every value of `rows` lies in [low, high] (NaN does not); the
// message names `what`, the first offending row and column, and the value. Asks `poll` meanwhile.
void require_within(const float* rows, std::size_t count, std::size_t columns, float low, float high,
                    const std::string& what, const Poll& poll);

}  // namespace digitvae
