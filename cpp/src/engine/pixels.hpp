// Between float32 intensities in [0, 1] and 8-bit pixels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace digitvae {

// round-half-even(255 · x), the product rounded to float32 first. x must lie in [0, 1].
void pixels_from_intensities(const float* x, std::size_t count, std::uint8_t* out);

// Cap in place what a decoder computed at 1: ONNX Runtime's Sigmoid gives 1 + 2⁻²³ for a few logits
// between 17.4 and 18. Returns the index of the first value that no sigmoid explains (below 0, above
// that, or NaN); `count` if there is none.
std::size_t cap_intensities(float* x, std::size_t count);

// pixel / 255, correctly rounded to float32 (what torchvision's ToTensor computes).
void intensities_from_pixels(const std::uint8_t* pixels, std::size_t count, float* out);

// Index of the first value that is NaN or outside [low, high]; `count` if there is none.
std::size_t first_outside(const float* values, std::size_t count, float low, float high);

}  // namespace digitvae
