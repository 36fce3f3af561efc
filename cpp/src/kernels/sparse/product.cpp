#include "kernels/sparse/product.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <new>

#include "base/error.hpp"
#include "kernels/sparse/kernel.hpp"

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

// Rows two by two, each with one that is active in the same places; an odd one is its own partner.
void choose_pairs(const Kernel& kernel, const std::array<RowMask, kMostRows>& masks, std::size_t rows,
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
  if (count == 1) order[placed] = order[placed + 1] = left[0];
}

}  // namespace

// The rows of one call in the order in which they are worked on. All threads of the call read them.
struct Product::Rows {
  std::size_t groups;
  std::array<RowMask, kMostRows> masks;
  std::array<std::uint16_t, kMostRows> order;
  std::array<const float*, kMostRows> hidden;
  std::array<float*, kMostRows> out;
  std::array<std::array<std::uint64_t, kMostRows>, kMostWords> active;  // of the groups, by word
};

// Of one thread, kept between calls: a hundred kilobytes would be new pages every time.
struct Product::Scratch {
  Rows rows;
  std::size_t width = 0;
  AlignedFloats sums;         // [rows in their order][width]
  std::vector<float> unused;  // [outputs]: what an odd row's missing partner gives

  float* sums_of(std::size_t needed) {
    if (width < needed) {
      sums = AlignedFloats(needed * kMostRows);
      width = needed;
    }
    return sums.get();
  }
};

Product::Scratch& Product::scratch_of_this_thread() {
  thread_local const std::unique_ptr<Scratch> scratch = std::make_unique<Scratch>();
  return *scratch;
}

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
    : Product(require_kernel(inputs, outputs), weights, bias, inputs, outputs) {}

Product::Product(const Kernel& kernel, const float* weights, const float* bias, std::size_t inputs, std::size_t outputs)
    : kernel_(kernel), inputs_(inputs), outputs_(outputs), weights_(inputs * outputs), bias_(bias, bias + outputs) {
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

bool Product::pays(std::size_t rows) {
  // One or two rows leave half of the weights in memory, and many rows pay for choosing pairs.
  constexpr std::size_t kFewRows = 2;
  constexpr std::size_t kManyRows = 25;
  const Kernel* const kernel = best_kernel();
  return kernel != nullptr && (kernel->rows == 1 || rows <= kFewRows || rows >= kManyRows);
}

void Product::multiply(const float* hidden, std::size_t rows, float* out, const OnAll* on_all) const {
  const std::size_t blocks = outputs_ / kernel_.width;
  Rows& arranged = scratch_of_this_thread().rows;
  for (std::size_t start = 0; start < rows; start += kMostRows) {
    arrange(hidden + start * inputs_, std::min(kMostRows, rows - start), out + start * outputs_, arranged);
    if (on_all == nullptr) {
      for (std::size_t block = 0; block < blocks; ++block) multiply_columns(arranged, block);
      continue;
    }
    std::atomic<std::size_t> next{0};
    scratch_of_this_thread().sums_of(kernel_.width);
    (*on_all)(blocks, [&] {
      try {
        scratch_of_this_thread().sums_of(kernel_.width);
      } catch (const std::bad_alloc&) {
        return;  // not this thread's, which has them: another's, without which it works, too
      }
      for (std::size_t block; (block = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
        multiply_columns(arranged, block);
      }
    });
  }
}

void Product::arrange(const float* hidden, std::size_t count, float* out, Rows& rows) const {
  const std::size_t words = inputs_ / kBlockInputs;
  for (std::size_t row = 0; row < count; ++row) {
    kernel_.find_active(hidden + row * inputs_, words, rows.masks[row].data());
    rows.order[row] = static_cast<std::uint16_t>(row);
  }
  if (kernel_.rows == 2) choose_pairs(kernel_, rows.masks, count, words, rows.order);
  rows.groups = (count + kernel_.rows - 1) / kernel_.rows;
  for (std::size_t i = 0; i < rows.groups * kernel_.rows; ++i) {
    const std::size_t row = rows.order[i];
    rows.hidden[i] = hidden + row * inputs_;
    rows.out[i] = out + row * outputs_;
    for (std::size_t word = 0; word < words; ++word) {
      std::uint64_t& active = rows.active[word][i / kernel_.rows];
      active = rows.masks[row][word] | (i % kernel_.rows == 0 ? 0 : active);
    }
  }
  if (rows.groups * kernel_.rows > count) {
    std::vector<float>& unused = scratch_of_this_thread().unused;
    unused.resize(std::max(unused.size(), outputs_));
    rows.out[count] = unused.data();
  }
}

void Product::multiply_columns(const Rows& rows, std::size_t block_of_columns) const {
  const std::size_t words = inputs_ / kBlockInputs;
  const std::size_t weights_of_word = kBlockInputs * kernel_.width;
  const float* const end_of_weights = weights_.get() + inputs_ * outputs_;
  Block block;
  block.hidden = rows.hidden.data();
  block.groups = rows.groups;
  block.weights = weights_.get() + block_of_columns * words * weights_of_word;
  block.sums = scratch_of_this_thread().sums_of(kernel_.width);
  block.out = rows.out.data();
  block.column = block_of_columns * kernel_.width;
  for (std::size_t word = 0; word < words; ++word) {
    const std::size_t end = (word + 1) * kBlockInputs;
    block.input = word * kBlockInputs;
    block.active = rows.active[word].data();
    block.next_weights = block.weights + weights_of_word < end_of_weights ? block.weights + weights_of_word : nullptr;
    block.bias = end <= kSumInputs ? bias_.data() + block.column : nullptr;
    block.begins = block.input % kSumInputs == 0;
    block.ends = end % kSumInputs == 0 || end == inputs_;
    kernel_.multiply(block);
    block.weights += weights_of_word;
  }
}

}  // namespace digitvae::sparse
