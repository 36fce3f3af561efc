// The latent mixture that a prior.onnx holds, and latents from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "onnx/model_file.hpp"

namespace digitvae::mixture {

// Those of python/digitvae/mixture/model.py, which says what they mean.
struct Parameters {
  std::size_t labels = 0;
  std::size_t rank = 0;
  std::size_t latents = 0;
  std::size_t components = 0;
  std::size_t most_steps = 0;           // most components of a class, less one
  std::vector<float> class_thresholds;  // [labels − 1]
  std::vector<float> thresholds;        // [2 · labels, most_steps]
  std::vector<std::int64_t> first;      // [labels]
  std::vector<float> means;             // [components, latents]
  std::vector<float> factors;           // [components, rank, latents]
};

// Reads the initializers of these names; no memory but the model's file. Nothing unless their sizes are those that the
// file declares and fit each other, every component that they can choose exists, and the file has no other numbers that
// its graph could compute with. That the graph computes what the tables say is for the caller to try: every_choice().
std::optional<Parameters> read_parameters(const onnx::Graph& graph, std::size_t labels, std::size_t rank,
                                          std::size_t latents);

struct Choices {
  std::vector<float> u;
  std::vector<std::int64_t> digit;
};

// A u just below and at each threshold, of each digit and of none (−1): every component, every label, both sides of
// every boundary.
Choices every_choice(const Parameters& p);

// What prior.onnx computes (export/README.md): u [rows] in [0, 1), digit [rows] below p.labels (negative: any),
// eps [rows, latents] of which the first `rank` columns are used → z [rows, latents] and label [rows].
//
// Summed in the order that docs/random-numbers.md specifies (products and sums rounded apart; four products, the sum
// before last; then two, then one): the same bits everywhere, which are those of ONNX Runtime's kernel for a matrix of
// one row on x86-64 processors with AVX.
void draw(const Parameters& p, const float* u, const std::int64_t* digit, const float* eps, std::size_t rows, float* z,
          std::int64_t* label);

}  // namespace digitvae::mixture
