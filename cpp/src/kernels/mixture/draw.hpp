// Latents from a mixture, row by row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/mixture/parameters.hpp"

namespace digitvae::mixture {

// What prior.onnx computes (export/README.md): u [rows] in [0, 1), digit [rows] below p.labels (negative: any),
// eps [rows, latents] of which the first `rank` columns are used → z [rows, latents] and label [rows].
//
// Summed in the order that docs/random-numbers.md specifies (products and sums rounded apart; four products, the sum
// before last; then two, then one): the same bits everywhere, which are those of ONNX Runtime's kernel for a matrix of
// one row on x86-64 processors with AVX.
void draw(const Parameters& p, const float* u, const std::int64_t* digit, const float* eps, std::size_t rows, float* z,
          std::int64_t* label);

}  // namespace digitvae::mixture
