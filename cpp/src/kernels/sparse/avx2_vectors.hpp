// What kernel_loops.hpp is written over, for AVX2, FMA and BMI.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace digitvae::sparse {
namespace {

using Vector = __m256;
constexpr std::size_t kLanes = 8;
inline Vector zero() { return _mm256_setzero_ps(); }
inline Vector load(const float* from) { return _mm256_load_ps(from); }
inline Vector load_once(const float* from) { return load(from); }
inline Vector load_anywhere(const float* from) { return _mm256_loadu_ps(from); }
inline Vector broadcast(const float* from) { return _mm256_broadcast_ss(from); }
inline void store(float* to, Vector v) { _mm256_store_ps(to, v); }
inline void store_anywhere(float* to, Vector v) { _mm256_storeu_ps(to, v); }
inline Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
inline Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
inline unsigned not_zero(const float* from) {
  const Vector differs = _mm256_cmp_ps(_mm256_loadu_ps(from), _mm256_setzero_ps(), _CMP_NEQ_UQ);
  return static_cast<unsigned>(_mm256_movemask_ps(differs));
}

}  // namespace
}  // namespace digitvae::sparse
