// Draws from the prior p(z) = N(0, I), on all threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/tiles.hpp"
#include "random/latents.hpp"

namespace digitvae {

// Latents first … first+count−1 of `seed` into out [count, dim]; the bits of fill_standard_normal.
void sample_prior(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                  float* out, unsigned threads, const Poll& poll);

}  // namespace digitvae
