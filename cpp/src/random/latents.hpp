// Standard normal latents from Philox, specified to the bit (docs/random-numbers.md).
#pragma once

#include <cstddef>
#include <cstdint>

namespace digitvae {

// What a stream of random numbers is used for; the number is part of the Philox counter.
enum class Stream : std::uint32_t { kLatent = 0, kMixture = 1, kPosterior = 2 };

// Fill `out` (row-major [count, dim]) with normals: row i is a pure function of
// (seed, stream, first + i), whatever the count. The index wraps modulo 2^64.
void fill_standard_normal(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                          float* out);

// The same with rows that begin `stride` floats apart, of which the first `dim` are filled.
void fill_standard_normal(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                          std::size_t stride, float* out);

// The uniform number in [0, 1) that chooses a component of a mixture for image `index`: the upper 24 bits
// of the first word of (seed, Stream::kMixture, index, block 0), exact in float32.
float mixture_uniform(std::uint64_t seed, std::uint64_t index);

// The pieces of fill_standard_normal, exposed so that known answers can be published for each.
double uniform_from_word(std::uint32_t word);  // (word + ½) · 2⁻³², in (0, 1), exact
struct NormalPair {
  double first;
  double second;
};
NormalPair normals_from_words(std::uint32_t radius_word, std::uint32_t angle_word);

}  // namespace digitvae
