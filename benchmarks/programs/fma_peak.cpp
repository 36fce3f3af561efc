// The most that this processor can compute, the limit of every dense network on it:
//
//     fma_peak SECONDS THREADS
//
// prints the float32 operations a second (a multiply-add is two) of fused multiply-adds on registers alone, the best of
// ten slices. Exits with 2 on a processor without AVX-512 and without AVX2 with FMA.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

double peak(const Loop& loop, double seconds, int threads) {
  const double operations_a_call = 2.0 * loop.lanes * kChains * kRounds;
  const std::chrono::duration<double> slice(seconds / kSlices);
  std::atomic<float> used{0.0F};
  double best = 0.0;
  for (int i = 0; i < kSlices; ++i) {
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
    for (int j = 1; j < threads; ++j) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    best = std::max(best, static_cast<double>(calls.load()) * operations_a_call / elapsed.count());
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc == 3 ? std::atof(argv[1]) : 0.0;
  const int threads = argc == 3 ? std::atoi(argv[2]) : 0;
  if (!(seconds > 0.0) || threads < 1) {
    std::fputs("usage: fma_peak SECONDS THREADS\n", stderr);
    return 1;
  }
  const Loop loop = widest_loop();
  if (loop.run == nullptr) return 2;
  std::printf("%.0f\n", peak(loop, seconds, threads));
}
