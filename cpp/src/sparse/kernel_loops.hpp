// The loops themselves, over `Vector` and the functions on it that kernel_*.cpp defines before including this.
#include <immintrin.h>

#include "sparse/kernel.hpp"

namespace digitvae::sparse {
namespace {

constexpr std::size_t kWidth = kVectors * kLanes;
constexpr std::size_t kFloatsInCacheLine = 16;

template <bool kBegins, bool kEnds>
inline __attribute__((always_inline)) void multiply_pair(const Block& block, std::size_t pair) {
  const float* const hidden = block.hidden + 2 * pair * kBlockInputs;
  float* const sums = block.sums + 2 * pair * kWidth;
  Vector first[kVectors];
  Vector second[kVectors];
  for (std::size_t j = 0; j < kVectors; ++j) {
    first[j] = kBegins ? zero() : load(sums + j * kLanes);
    second[j] = kBegins ? zero() : load(sums + kWidth + j * kLanes);
  }
  for (std::uint64_t active = block.active[pair]; active != 0; active &= active - 1) {
    const auto input = static_cast<std::size_t>(__builtin_ctzll(active));
    const float* const weights = block.weights + input * kWidth;
    const Vector x = broadcast(hidden + input);
    const Vector y = broadcast(hidden + kBlockInputs + input);
    for (std::size_t j = 0; j < kVectors; ++j) {
      const Vector w = load_once(weights + j * kLanes);
      first[j] = multiply_add(x, w, first[j]);
      second[j] = multiply_add(y, w, second[j]);
    }
  }
  float* const out[2] = {block.out[2 * pair] + block.column, block.out[2 * pair + 1] + block.column};
  for (std::size_t j = 0; j < kVectors; ++j) {
    if (!kEnds) {
      store(sums + j * kLanes, first[j]);
      store(sums + kWidth + j * kLanes, second[j]);
    } else if (block.bias != nullptr) {
      const Vector bias = load_anywhere(block.bias + j * kLanes);
      store_anywhere(out[0] + j * kLanes, add(bias, first[j]));
      store_anywhere(out[1] + j * kLanes, add(bias, second[j]));
    } else {
      store_anywhere(out[0] + j * kLanes, add(load_anywhere(out[0] + j * kLanes), first[j]));
      store_anywhere(out[1] + j * kLanes, add(load_anywhere(out[1] + j * kLanes), second[j]));
    }
  }
}

// Fewer rows leave many of the weights out, and fetching them all would take longer than what it saves.
constexpr std::size_t kFewestPairsToPrefetch = 16;

template <bool kBegins, bool kEnds>
void multiply_pairs(const Block& block) {
  constexpr std::size_t kLines = kBlockInputs * kWidth / kFloatsInCacheLine;
  const std::size_t lines_at_once = (kLines + block.pairs - 1) / block.pairs;
  std::size_t line = block.next_weights == nullptr || block.pairs < kFewestPairsToPrefetch ? kLines : 0;
  for (std::size_t pair = 0; pair < block.pairs; ++pair) {
    // The next block's weights come from the second-level cache while this one's are multiplied.
    const std::size_t until = line + lines_at_once < kLines ? line + lines_at_once : kLines;
    for (; line < until; ++line) {
      _mm_prefetch(reinterpret_cast<const char*>(block.next_weights + line * kFloatsInCacheLine), _MM_HINT_T0);
    }
    multiply_pair<kBegins, kEnds>(block, pair);
  }
}

void multiply(const Block& block) {
  if (block.begins && block.ends) {
    multiply_pairs<true, true>(block);
  } else if (block.begins) {
    multiply_pairs<true, false>(block);
  } else if (block.ends) {
    multiply_pairs<false, true>(block);
  } else {
    multiply_pairs<false, false>(block);
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
