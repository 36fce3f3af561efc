// The loops themselves, over `Vector` and the functions on it that kernel_*.cpp defines before including this, for
// groups of kRows rows and blocks of kVectors vectors of columns.
#include <immintrin.h>

#include "kernels/sparse/kernel.hpp"

namespace digitvae::sparse {
namespace {

constexpr std::size_t kWidth = kVectors * kLanes;
constexpr std::size_t kFloatsInCacheLine = 16;

template <bool kBegins, bool kEnds>
inline __attribute__((always_inline)) void multiply_group(const Block& block, std::size_t group) {
  const float* hidden[kRows];
  float* sums[kRows];
  Vector sum[kRows][kVectors];
  for (std::size_t row = 0; row < kRows; ++row) {
    hidden[row] = block.hidden[group * kRows + row] + block.input;
    sums[row] = block.sums + (group * kRows + row) * kWidth;
    for (std::size_t j = 0; j < kVectors; ++j) sum[row][j] = kBegins ? zero() : load(sums[row] + j * kLanes);
  }
  for (std::uint64_t active = block.active[group]; active != 0; active &= active - 1) {
    const auto input = static_cast<std::size_t>(__builtin_ctzll(active));
    const float* const weights = block.weights + input * kWidth;
    Vector x[kRows];
    for (std::size_t row = 0; row < kRows; ++row) x[row] = broadcast(hidden[row] + input);
    for (std::size_t j = 0; j < kVectors; ++j) {
      const Vector w = load_once(weights + j * kLanes);
      for (std::size_t row = 0; row < kRows; ++row) sum[row][j] = multiply_add(x[row], w, sum[row][j]);
    }
  }
  for (std::size_t row = 0; row < kRows; ++row) {
    float* const out = block.out[group * kRows + row] + block.column;
    for (std::size_t j = 0; j < kVectors; ++j) {
      if (!kEnds) {
        store(sums[row] + j * kLanes, sum[row][j]);
      } else {
        const float* const before = block.bias != nullptr ? block.bias : out;
        store_anywhere(out + j * kLanes, add(load_anywhere(before + j * kLanes), sum[row][j]));
      }
    }
  }
}

// Fewer rows leave many of the weights out, and fetching them all would take longer than what it saves.
constexpr std::size_t kFewestRowsToPrefetch = 32;

template <bool kBegins, bool kEnds>
void multiply_groups(const Block& block) {
  constexpr std::size_t kLines = kBlockInputs * kWidth / kFloatsInCacheLine;
  const std::size_t lines_at_once = (kLines + block.groups - 1) / block.groups;
  const bool prefetches = block.next_weights != nullptr && block.groups * kRows >= kFewestRowsToPrefetch;
  std::size_t line = prefetches ? 0 : kLines;
  for (std::size_t group = 0; group < block.groups; ++group) {
    // The next block's weights come from the second-level cache while this one's are multiplied.
    const std::size_t until = line + lines_at_once < kLines ? line + lines_at_once : kLines;
    for (; line < until; ++line) {
      _mm_prefetch(reinterpret_cast<const char*>(block.next_weights + line * kFloatsInCacheLine), _MM_HINT_T0);
    }
    multiply_group<kBegins, kEnds>(block, group);
  }
}

void multiply(const Block& block) {
  if (block.begins && block.ends) {
    multiply_groups<true, true>(block);
  } else if (block.begins) {
    multiply_groups<true, false>(block);
  } else if (block.ends) {
    multiply_groups<false, true>(block);
  } else {
    multiply_groups<false, false>(block);
  }
}

void find_active(const float* values, std::size_t words, std::uint64_t* active) {
  for (std::size_t word = 0; word < words; ++word) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < kBlockInputs; i += kLanes) {
      bits |= static_cast<std::uint64_t>(not_zero(values + word * kBlockInputs + i)) << i;
    }
    active[word] = bits;
  }
}

int count_added(const std::uint64_t* row, const std::uint64_t* other, std::size_t words) {
  int count = 0;
  for (std::size_t word = 0; word < words; ++word) count += __builtin_popcountll(other[word] & ~row[word]);
  return count;
}

}  // namespace
}  // namespace digitvae::sparse
