#include "fma_peak.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace digitvae::bindings {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kChains = 12;  // independent sums: two units with a latency of four or five need ten
constexpr long kRounds = 20'000;
constexpr int kSlices = 10;

// One call does kRounds × kChains multiply-adds of whole vectors. What it returns is used, so that none of them is
// left out.
struct Loop {
  float (*run)();
  int lanes;
};

#if defined(__x86_64__)

__attribute__((target("avx512f"))) float run_avx512() {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1.0F);
  const __m512 factor = _mm512_set1_ps(0.999F);
  const __m512 term = _mm512_set1_ps(0.001F);
  for (long round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_fmadd_ps(sums[i], factor, term);
  }
  float total = 0.0F;
  for (const __m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx2,fma"))) float run_avx2() {
  __m256 sums[kChains];
  for (__m256& sum : sums) sum = _mm256_set1_ps(1.0F);
  const __m256 factor = _mm256_set1_ps(0.999F);
  const __m256 term = _mm256_set1_ps(0.001F);
  for (long round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = _mm256_fmadd_ps(sums[i], factor, term);
  }
  float total = 0.0F;
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

Loop widest_loop() {
  if (__builtin_cpu_supports("avx512f")) return {run_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {run_avx2, 8};
  return {nullptr, 0};
}

#else

Loop widest_loop() { return {nullptr, 0}; }

#endif

}  // namespace

double fma_peak(double seconds, int threads, const Poll& poll) {
  const Loop loop = widest_loop();
  if (loop.run == nullptr) {
    throw std::runtime_error("the peak of this processor cannot be measured: it has neither AVX-512 nor AVX2 with FMA");
  }
  const double operations_a_call = 2.0 * loop.lanes * kChains * kRounds;
  const std::chrono::duration<double> slice(seconds / kSlices);
  std::atomic<float> used{0.0F};
  double best = 0.0;
  for (int i = 0; i < kSlices && !poll(0, 0); ++i) {
    std::atomic<long> calls{0};
    const Clock::time_point start = Clock::now();
    const auto work = [&] {
      float total = 0.0F;
      do {
        total += loop.run();
        calls.fetch_add(1, std::memory_order_relaxed);
      } while (Clock::now() - start < slice);
      used.store(total, std::memory_order_relaxed);
    };
    std::vector<std::thread> others;
    try {
      for (int j = 1; j < threads; ++j) others.emplace_back(work);
    } catch (const std::system_error& error) {
      for (std::thread& other : others) other.join();
      throw std::runtime_error("cannot start " + std::to_string(threads) + " threads: " + error.what());
    }
    work();
    for (std::thread& other : others) other.join();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    best = std::max(best, static_cast<double>(calls.load()) * operations_a_call / elapsed.count() / 1e9);
  }
  return best;
}

}  // namespace digitvae::bindings
