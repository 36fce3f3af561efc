// Paths between latents.
#pragma once

#include <cstddef>

#include "schedule/tiles.hpp"

namespace digitvae {

enum class Interpolation {
  kLinear,     // (1 − t) a + t b
  kSpherical,  // K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985, eq. for slerp
};

// For each of `count` pairs of rows a, b [count, dim], `steps` latents at t = 0, 1/(steps−1), …, 1
// into out [count, steps, dim]. Computed in float64, rounded once; the ends are a and b to the bit.
// Throws InvalidArgument, naming the row: a value that is not finite; spherical between opposite
// directions (the path is not determined). A zero vector has no direction: spherical is linear then.
void interpolate(const float* a, const float* b, std::size_t count, std::size_t dim, std::size_t steps,
                 Interpolation method, float* out, unsigned threads, const Poll& poll);

// The latent at `right` of the way from left to right and `down` of the way from top to bottom between
// corners [4, dim] (top left, top right, bottom left, bottom right), bilinear, into out [dim]. Computed in
// float64, rounded once; a corner is itself to the bit. Throws InvalidArgument: a share outside [0, 1], a
// corner that is not finite.
void point_between(const float* corners, std::size_t dim, double right, double down, float* out);

// A grid of rows × columns such points, evenly spaced, both at least 2, into out [rows, columns, dim].
void grid_between(const float* corners, std::size_t dim, std::size_t rows, std::size_t columns, float* out,
                  unsigned threads, const Poll& poll);

}  // namespace digitvae
