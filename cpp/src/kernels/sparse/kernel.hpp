// The inner loops of sparse::Product, one set for each instruction set. No standard library here: what these
// files compile must not be linked into code for other processors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace digitvae::sparse {

inline constexpr std::size_t kBlockInputs = 64;  // of one mask; its weights stay in the first-level cache
inline constexpr std::size_t kSumInputs = 256;   // of one sum of ONNX Runtime's dense kernels

// A block of inputs times a block of columns, for all rows. Rows are worked on in groups of Kernel::rows.
struct Block {
  const float* const* hidden;   // [groups · rows] rows of activations, of which
  std::size_t input;            // those from here are multiplied
  const std::uint64_t* active;  // [groups]: the inputs that are not zero in some row of a group
  std::size_t groups;
  const float* weights;       // [kBlockInputs, width]
  const float* next_weights;  // those of the block that comes after, or null
  const float* bias;          // [width]: what `out` begins with; null: it is added to
  float* sums;                // [groups · rows, width], kept between the blocks of one sum
  bool begins;                // a new sum
  bool ends;                  // the sum is complete: it goes to `out`
  float* const* out;          // [groups · rows] rows, of which
  std::size_t column;         // the columns from here are written
};

struct Kernel {
  std::size_t rows;   // of a group
  std::size_t width;  // columns of a block
  // One bit for each of 64 · words values: set where it is not zero.
  void (*find_active)(const float* values, std::size_t words, std::uint64_t* active);
  // How many bits of `other` are not in `row`.
  int (*count_added)(const std::uint64_t* row, const std::uint64_t* other, std::size_t words);
  void (*multiply)(const Block& block);
};

extern const Kernel kAvx2Kernel;
extern const Kernel kAvx512Kernel;

}  // namespace digitvae::sparse
