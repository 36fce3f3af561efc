// The loops as the AVX-512 kernel has them, two rows at a time, for processors that have only AVX2.
#include "kernels/sparse/avx2_vectors.hpp"

namespace digitvae::sparse {
namespace {

constexpr std::size_t kRows = 2;
constexpr std::size_t kVectors = 7;

}  // namespace
}  // namespace digitvae::sparse

#include "kernels/sparse/kernel_loops.hpp"

namespace digitvae::sparse {

extern const Kernel kTwoRowsAvx2Kernel = {kRows, kWidth, &find_active, &count_added, &multiply};

}  // namespace digitvae::sparse
