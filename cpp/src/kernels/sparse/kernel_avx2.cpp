// Compiled for AVX2, FMA and BMI; run only where the processor has them.
#include "kernels/sparse/avx2_vectors.hpp"

namespace digitvae::sparse {
namespace {

// One row at a time: 14 sums and the activation fill the registers, so that weights are read for each use. A second
// row would share none of these reads, and have the first one's zeros to multiply.
constexpr std::size_t kRows = 1;
constexpr std::size_t kVectors = 14;

}  // namespace
}  // namespace digitvae::sparse

#include "kernels/sparse/kernel_loops.hpp"

namespace digitvae::sparse {

const Kernel kAvx2Kernel = {kRows, kWidth, &find_active, &count_added, &multiply};

}  // namespace digitvae::sparse
