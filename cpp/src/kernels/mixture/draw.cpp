// Compiled without fused multiply-adds, which would round differently.
#include "kernels/mixture/parameters.hpp"

#include "base/multiversion.hpp"

namespace digitvae::mixture {
namespace {

constexpr std::size_t kBlockRows = 128;
constexpr std::size_t kFloatsInCacheLine = 16;

inline __attribute__((always_inline)) std::int64_t count_reached(float u, const float* thresholds, std::size_t count) {
  std::int32_t reached = 0;
  for (std::size_t i = 0; i < count; ++i) reached += u >= thresholds[i] ? 1 : 0;
  return reached;
}

// sums += the products of kTerms values of noise and as many rows of a factor.
template <std::size_t kTerms>
inline __attribute__((always_inline)) void add_products(const float* noise, const float* factor, std::size_t latents,
                                                        float* __restrict sums) {
  for (std::size_t j = 0; j < latents; ++j) {
    float products = noise[0] * factor[j];
    for (std::size_t r = 1; r < kTerms; ++r) products += noise[r] * factor[r * latents + j];
    sums[j] += products;
  }
}

inline __attribute__((always_inline)) void draw_row(const float* mean, const float* factor, const float* noise,
                                                    std::size_t rank, std::size_t latents, float* __restrict z) {
  for (std::size_t j = 0; j < latents; ++j) z[j] = 0.0F;
  std::size_t r = 0;
  for (; r + 4 <= rank; r += 4) add_products<4>(noise + r, factor + r * latents, latents, z);
  if (r + 2 <= rank) {
    add_products<2>(noise + r, factor + r * latents, latents, z);
    r += 2;
  }
  if (r < rank) add_products<1>(noise + r, factor + r * latents, latents, z);
  for (std::size_t j = 0; j < latents; ++j) z[j] = mean[j] + z[j];
}

// The tables are larger than the caches that the decoder leaves: what is needed later is asked for now.
inline __attribute__((always_inline)) void prefetch(const float* values, std::size_t count) {
  for (std::size_t i = 0; i < count; i += kFloatsInCacheLine) __builtin_prefetch(values + i);
}

DIGITVAE_MULTIVERSION
void draw_block(const Parameters& p, const float* u, const std::int64_t* digit, const float* eps, std::size_t rows,
                float* z, std::int64_t* label) {
  const std::size_t factor_size = p.rank * p.latents;
  std::size_t component[kBlockRows];
  for (std::size_t i = 0; i < rows; ++i) {
    std::int64_t row = digit[i];
    label[i] = digit[i];
    if (digit[i] < 0) {
      label[i] = count_reached(u[i], p.class_thresholds.data(), p.labels - 1);
      row = label[i] + static_cast<std::int64_t>(p.labels);
    }
    const float* const thresholds = p.thresholds.data() + static_cast<std::size_t>(row) * p.most_steps;
    const std::int64_t step = count_reached(u[i], thresholds, p.most_steps);
    component[i] = static_cast<std::size_t>(p.first[static_cast<std::size_t>(label[i])] + step);
    prefetch(p.means.data() + component[i] * p.latents, p.latents);
  }
  constexpr std::size_t kAhead = 2;  // rows
  for (std::size_t i = 0; i < rows; ++i) {
    if (i + kAhead < rows) prefetch(p.factors.data() + component[i + kAhead] * factor_size, factor_size);
    draw_row(p.means.data() + component[i] * p.latents, p.factors.data() + component[i] * factor_size,
             eps + i * p.latents, p.rank, p.latents, z + i * p.latents);
  }
}

}  // namespace

void draw(const Parameters& p, const float* u, const std::int64_t* digit, const float* eps, std::size_t rows, float* z,
          std::int64_t* label) {
  for (std::size_t start = 0; start < rows; start += kBlockRows) {
    const std::size_t count = rows - start < kBlockRows ? rows - start : kBlockRows;
    draw_block(p, u + start, digit + start, eps + start * p.latents, count, z + start * p.latents, label + start);
  }
}

}  // namespace digitvae::mixture
