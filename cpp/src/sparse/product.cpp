#include "sparse/product.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "error.hpp"
#include "sparse/kernel.hpp"

namespace digitvae::sparse {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMostWords = 32;  // masks of 64 inputs in a row
constexpr std::size_t kMostRows = Product::kMostRows;
// Rows that are looked at to find the best partner of one: more of them save less than they cost.
constexpr std::size_t kCandidates = 16;

const Kernel* best_kernel() {
#if defined(DIGITVAE_SPARSE_KERNELS)
  if (__builtin_cpu_supports("avx512f")) return &kAvx512Kernel;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")) {
    return &kAvx2Kernel;
  }
#endif
  return nullptr;
}

const Kernel& require_kernel(std::size_t inputs, std::size_t outputs) {
  if (!Product::supports(inputs, outputs)) throw InvalidArgument("a layer of this size has no sparse kernel here");
  return *best_kernel();
}

using RowMask = std::array<std::uint64_t, kMostWords>;

// Scratch of one thread, kept between calls: a few hundred kilobytes would be new pages every time.
struct Scratch {
  AlignedFloats hidden;  // [inputs / 64][rows in the order of the pairs][64]
  AlignedFloats sums;    // [rows in the order of the pairs][width]
  AlignedFloats unused;  // [outputs]: what an odd row's missing partner gives
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::array<RowMask, kMostRows> masks;
  std::array<std::array<std::uint64_t, kMostRows / 2>, kMostWords> active;  // of the pairs, by word
  std::array<std::uint16_t, kMostRows> order;
  std::array<float*, kMostRows> out;

  void reserve(std::size_t inputs_needed, std::size_t outputs_needed, std::size_t width) {
    if (inputs < inputs_needed) hidden = AlignedFloats(inputs_needed * kMostRows);
    inputs = std::max(inputs, inputs_needed);
    if (outputs < outputs_needed) {
      sums = AlignedFloats(width * kMostRows);
      unused = AlignedFloats(outputs_needed);
      std::fill_n(unused.get(), outputs_needed, 0.0F);
    }
    outputs = std::max(outputs, outputs_needed);
  }
};

Scratch& scratch_of_this_thread() {
  thread_local const std::unique_ptr<Scratch> scratch = std::make_unique<Scratch>();
  return *scratch;
}

// Rows two by two, each with one that is active in the same places; an odd one is its own partner.
std::size_t choose_pairs(const Kernel& kernel, const std::array<RowMask, kMostRows>& masks, std::size_t rows,
                         std::size_t words, std::array<std::uint16_t, kMostRows>& order) {
  const auto added = [&](std::size_t row, std::size_t other) {
    return kernel.count_added(masks[row].data(), masks[other].data(), words);
  };
  std::array<std::uint16_t, kMostRows> left;
  for (std::size_t i = 0; i < rows; ++i) left[i] = static_cast<std::uint16_t>(i);
  std::size_t count = rows;
  std::size_t placed = 0;
  while (count > 1) {
    const std::uint16_t row = left[--count];
    const std::size_t candidates = std::min(count, kCandidates);
    std::size_t best = count - 1;
    int fewest = added(row, left[best]);
    for (std::size_t i = count - candidates; i + 1 < count; ++i) {
      const int here = added(row, left[i]);
      if (here < fewest) {
        fewest = here;
        best = i;
      }
    }
    order[placed++] = row;
    order[placed++] = left[best];
    left[best] = left[--count];
  }
  if (count == 1) {
    order[placed++] = left[0];
    order[placed++] = left[0];
  }
  return placed / 2;
}

}  // namespace

AlignedFloats::AlignedFloats(std::size_t count) : memory_(new float[count + kAlignment / sizeof(float)]) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
  begin_ = memory_.get() + (kAlignment - address % kAlignment) % kAlignment / sizeof(float);
}

bool Product::supports(std::size_t inputs, std::size_t outputs) {
  const Kernel* const kernel = best_kernel();
  return kernel != nullptr && inputs > 0 && inputs % kBlockInputs == 0 && inputs / kBlockInputs <= kMostWords &&
         outputs > 0 && outputs % kernel->width == 0;
}

Product::Product(const float* weights, const float* bias, std::size_t inputs, std::size_t outputs)
    : kernel_(require_kernel(inputs, outputs)),
      inputs_(inputs),
      outputs_(outputs),
      weights_(inputs * outputs),
      bias_(bias, bias + outputs) {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(weights, weights + inputs * outputs, is_finite)) {
    throw InvalidArgument("a weight is not finite");
  }
  const std::size_t width = kernel_.width;
  float* to = weights_.get();
  for (std::size_t column = 0; column < outputs; column += width) {
    for (std::size_t input = 0; input < inputs; ++input) {
      for (std::size_t j = 0; j < width; ++j) *to++ = weights[(column + j) * inputs + input];
    }
  }
}

void Product::multiply(const float* hidden, std::size_t rows, float* out) const {
  for (std::size_t start = 0; start < rows; start += kMostRows) {
    multiply_part(hidden + start * inputs_, std::min(kMostRows, rows - start), out + start * outputs_);
  }
}

void Product::multiply_part(const float* hidden, std::size_t rows, float* out) const {
  const std::size_t words = inputs_ / kBlockInputs;
  const std::size_t width = kernel_.width;
  Scratch& scratch = scratch_of_this_thread();
  scratch.reserve(inputs_, outputs_, width);
  for (std::size_t row = 0; row < rows; ++row) {
    kernel_.find_active(hidden + row * inputs_, words, scratch.masks[row].data());
  }
  const std::size_t pairs = choose_pairs(kernel_, scratch.masks, rows, words, scratch.order);
  for (std::size_t i = 0; i < 2 * pairs; ++i) {
    const std::size_t row = scratch.order[i];
    scratch.out[i] = i < rows ? out + row * outputs_ : scratch.unused.get();
    for (std::size_t word = 0; word < words; ++word) {
      std::memcpy(scratch.hidden.get() + (word * 2 * pairs + i) * kBlockInputs,
                  hidden + row * inputs_ + word * kBlockInputs, kBlockInputs * sizeof(float));
      const RowMask& partner = scratch.masks[scratch.order[i ^ 1U]];
      scratch.active[word][i / 2] = scratch.masks[row][word] | partner[word];
    }
  }
  const std::size_t blocks = outputs_ / width * words;
  for (std::size_t number = 0; number < blocks; ++number) {
    const std::size_t column = number / words * width;
    const std::size_t word = number % words;
    const std::size_t end = (word + 1) * kBlockInputs;
    const float* const weights = weights_.get() + number * kBlockInputs * width;
    Block block;
    block.hidden = scratch.hidden.get() + word * 2 * pairs * kBlockInputs;
    block.active = scratch.active[word].data();
    block.pairs = pairs;
    block.weights = weights;
    block.next_weights = number + 1 < blocks ? weights + kBlockInputs * width : nullptr;
    block.bias = end <= kSumInputs ? bias_.data() + column : nullptr;
    block.sums = scratch.sums.get();
    block.begins = word * kBlockInputs % kSumInputs == 0;
    block.ends = end % kSumInputs == 0 || end == inputs_;
    block.out = scratch.out.data();
    block.column = column;
    kernel_.multiply(block);
  }
}

}  // namespace digitvae::sparse
