// The most that this processor can compute: the limit of every dense network on it.
#pragma once

#include "engine/tiles.hpp"

namespace digitvae::bindings {

// Billions of float32 operations a second (a multiply-add is two) that `threads` threads reach with fused
// multiply-adds on registers alone: the best of ten slices of seconds / 10. Ends early when `poll` says so.
// Throws std::runtime_error on a processor without such instructions.
double fma_peak(double seconds, int threads, const Poll& poll);

}  // namespace digitvae::bindings
