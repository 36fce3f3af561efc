// fma_peak SECONDS THREADS: billions of float32 operations a second that this processor reaches with fused
// multiply-adds on registers alone, the limit of every dense network on it. Prints the best of ten slices.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kChains = 12;  // independent sums: two units with a latency of four or five need ten
constexpr long kRounds = 20'000;
constexpr int kSlices = 10;

// One call: kRounds × kChains multiply-adds of whole vectors. The results are used, so that none is left out.
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

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  if (seconds <= 0 || threads < 1 || !__builtin_cpu_supports("fma")) {
    std::fputs("usage: fma_peak SECONDS THREADS, on a processor with FMA\n", stderr);
    return 2;
  }
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  const double operations = 2.0 * (wide ? 16 : 8) * kChains * kRounds;
  volatile float used = 0.0F;
  double best = 0.0;
  for (int slice = 0; slice < kSlices; ++slice) {
    std::atomic<long> calls{0};
    const Clock::time_point start = Clock::now();
    const auto work = [&] {
      float total = 0.0F;
      while (std::chrono::duration<double>(Clock::now() - start).count() < seconds / kSlices) {
        total += wide ? run_avx512() : run_avx2();
        calls.fetch_add(1, std::memory_order_relaxed);
      }
      used = total;
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, static_cast<double>(calls.load()) * operations / elapsed / 1e9);
  }
  std::printf("%.1f\n", best);
}
