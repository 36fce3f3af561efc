// Compiled for AVX-512 F; run only where the processor has it.
#include <immintrin.h>

#include <cstddef>

namespace digitvae::sparse {
namespace {

using Vector = __m512;
constexpr std::size_t kLanes = 16;
// Two rows share each read of the weights: reads are what the loop waits for. Twice seven sums hide the latency of
// multiply-adds.
constexpr std::size_t kRows = 2;
constexpr std::size_t kVectors = 7;

inline Vector zero() { return _mm512_setzero_ps(); }
inline Vector load(const float* from) { return _mm512_load_ps(from); }
// Into a register: the compiler would rather load it again for each use.
inline Vector load_once(const float* from) {
  Vector v = _mm512_load_ps(from);
  __asm__("" : "+v"(v));
  return v;
}
inline Vector load_anywhere(const float* from) { return _mm512_loadu_ps(from); }
inline Vector broadcast(const float* from) { return _mm512_set1_ps(*from); }
inline void store(float* to, Vector v) { _mm512_store_ps(to, v); }
inline void store_anywhere(float* to, Vector v) { _mm512_storeu_ps(to, v); }
inline Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
inline unsigned not_zero(const float* from) {
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(from), _mm512_setzero_ps(), _CMP_NEQ_UQ);
}

}  // namespace
}  // namespace digitvae::sparse

#include "kernels/sparse/kernel_loops.hpp"

namespace digitvae::sparse {

const Kernel kAvx512Kernel = {kRows, kWidth, &find_active, &count_added, &multiply};

}  // namespace digitvae::sparse
