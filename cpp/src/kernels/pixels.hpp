// Between float32 intensities in [0, 1] and 8-bit pixels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace digitvae {

// What a decoder computes lies in [0, 1], but for what rounding adds to a sigmoid: ONNX Runtime's gives 1 + 2⁻²³ for a
// few logits between 17.4 and 18 and, before 1.23 on aarch64, −2⁻²³ for a few below −17. So 2⁻²³ beyond either end
// counts as that end. Both functions return the index of the first value that no sigmoid explains (beyond that, or
// NaN), and `count` if there is none.

// round-half-even(255 · x), the product rounded to float32 first. After a value that is none, what follows is
// not defined.
std::size_t pixels_from_intensities(const float* x, std::size_t count, std::uint8_t* out);

// Clamp in place to [0, 1]; −0 becomes 0.
std::size_t clamp_intensities(float* x, std::size_t count);

// pixel / 255, correctly rounded to float32 (what torchvision's ToTensor computes).
void intensities_from_pixels(const std::uint8_t* pixels, std::size_t count, float* out);

// Index of the first value that is NaN or outside [low, high]; `count` if there is none.
std::size_t first_outside(const float* values, std::size_t count, float low, float high);

}  // namespace digitvae
