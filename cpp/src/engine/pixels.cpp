#include "engine/pixels.hpp"

#include <cstring>
#include <limits>

#include "multiversion.hpp"

namespace digitvae {
namespace {

constexpr float kJustAboveOne = 1.0F + std::numeric_limits<float>::epsilon();
// Checks are made for whole blocks, without a branch, so that the loops vectorise.
constexpr std::size_t kBlock = 256;

DIGITVAE_MULTIVERSION void cap_at_one(float* x, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) x[i] = x[i] > 1.0F ? 1.0F : x[i];
}

}  // namespace

DIGITVAE_MULTIVERSION std::size_t pixels_from_intensities(const float* x, std::size_t count, std::uint8_t* out) {
  // Adding 1.5 · 2²³ leaves the integer, rounded half to even, in the low bits of the sum. 255 · (1 + 2⁻²³) is 255 too.
  constexpr float kRounder = 12582912.0F;
  for (std::size_t start = 0; start < count; start += kBlock) {
    const std::size_t end = start + kBlock < count ? start + kBlock : count;
    unsigned inside = 1;
    for (std::size_t i = start; i < end; ++i) {
      inside &= static_cast<unsigned>(x[i] >= 0.0F) & static_cast<unsigned>(x[i] <= kJustAboveOne);
      const float shifted = x[i] * 255.0F + kRounder;
      std::uint32_t bits;
      std::memcpy(&bits, &shifted, sizeof bits);
      out[i] = static_cast<std::uint8_t>(bits);
    }
    if (inside == 0) return start + first_outside(x + start, end - start, 0.0F, kJustAboveOne);
  }
  return count;
}

void intensities_from_pixels(const std::uint8_t* pixels, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(pixels[i]) / 255.0F;
}

std::size_t cap_intensities(float* x, std::size_t count) {
  const std::size_t outside = first_outside(x, count, 0.0F, kJustAboveOne);
  if (outside == count) cap_at_one(x, count);
  return outside;
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
