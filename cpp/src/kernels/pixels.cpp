#include "kernels/pixels.hpp"

#include <cstring>
#include <limits>

#include "base/multiversion.hpp"

namespace digitvae {
namespace {

constexpr float kJustBelowZero = -std::numeric_limits<float>::epsilon();
constexpr float kJustAboveOne = 1.0F + std::numeric_limits<float>::epsilon();
// Checks are made for whole blocks, without a branch, so that the loops vectorise.
constexpr std::size_t kBlock = 256;

}  // namespace

DIGITVAE_MULTIVERSION std::size_t pixels_from_intensities(const float* x, std::size_t count, std::uint8_t* out) {
  // Adding 1.5 · 2²³ leaves the integer, rounded half to even, in the low bits of the sum. 255 · (1 + 2⁻²³) gives
  // 255 too, and 255 · −2⁻²³ gives 0.
  constexpr float kRounder = 12582912.0F;
  for (std::size_t start = 0; start < count; start += kBlock) {
    const std::size_t end = start + kBlock < count ? start + kBlock : count;
    unsigned inside = 1;
    for (std::size_t i = start; i < end; ++i) {
      inside &= static_cast<unsigned>(x[i] >= kJustBelowZero) & static_cast<unsigned>(x[i] <= kJustAboveOne);
      const float shifted = x[i] * 255.0F + kRounder;
      std::uint32_t bits;
      std::memcpy(&bits, &shifted, sizeof bits);
      out[i] = static_cast<std::uint8_t>(bits);
    }
    if (inside == 0) return start + first_outside(x + start, end - start, kJustBelowZero, kJustAboveOne);
  }
  return count;
}

void intensities_from_pixels(const std::uint8_t* pixels, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(pixels[i]) / 255.0F;
}

DIGITVAE_MULTIVERSION std::size_t clamp_intensities(float* x, std::size_t count) {
  constexpr std::int32_t kOne = 0x3F800000;  // the bits of 1.0F
  for (std::size_t start = 0; start < count; start += kBlock) {
    const std::size_t end = start + kBlock < count ? start + kBlock : count;
    unsigned inside = 1;
    for (std::size_t i = start; i < end; ++i) {
      inside &= static_cast<unsigned>(x[i] >= kJustBelowZero) & static_cast<unsigned>(x[i] <= kJustAboveOne);
    }
    if (inside == 0) return start + first_outside(x + start, end - start, kJustBelowZero, kJustAboveOne);
    // By their bits as integers, which stand in the same order, all negative numbers below 0: that is a minimum and a
    // maximum to the processor. Of floats the compiler would make six instructions, for the sake of NaN.
    for (std::size_t i = start; i < end; ++i) {
      std::int32_t bits;
      std::memcpy(&bits, x + i, sizeof bits);
      bits = bits < kOne ? bits : kOne;
      bits = bits > 0 ? bits : 0;
      std::memcpy(x + i, &bits, sizeof bits);
    }
  }
  return count;
}

DIGITVAE_MULTIVERSION std::size_t first_outside(const float* values, std::size_t count, float low, float high) {
  for (std::size_t start = 0; start < count; start += kBlock) {
    const std::size_t end = start + kBlock < count ? start + kBlock : count;
    unsigned inside = 1;
    for (std::size_t i = start; i < end; ++i) {
      inside &= static_cast<unsigned>(values[i] >= low) & static_cast<unsigned>(values[i] <= high);
    }
    if (inside != 0) continue;
    for (std::size_t i = start; i < end; ++i) {
      if (!(values[i] >= low && values[i] <= high)) return i;
    }
  }
  return count;
}

}  // namespace digitvae
