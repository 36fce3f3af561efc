// The latent mixture that a prior.onnx holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "onnx_file/graph.hpp"

namespace digitvae::latent_mixture {

// Those of python/digitvae/mixture/model.py, which says what they mean.
struct Parameters {
  std::size_t labels = 0;
  std::size_t most_steps = 0;  // most components of a class, less one
  std::size_t components = 0;
  std::size_t rank = 0;
  std::size_t latents = 0;
  std::vector<float> class_thresholds;  // [labels − 1]
  std::vector<float> thresholds;        // [2 · labels, most_steps]
  std::vector<std::int64_t> first;      // [labels]
  std::vector<float> means;             // [components, latents]
  std::vector<float> factors;           // [components, rank, latents]
};

// Nothing unless the graph is, node for node, that of python/digitvae/mixture/model.py as torch.onnx exports it, with
// sizes that fit each other, and every component that it can choose exists. Reads no memory but the model's file.
std::optional<Parameters> read_parameters(const onnx_file::Graph& graph);

}  // namespace digitvae::latent_mixture
