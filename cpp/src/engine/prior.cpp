#include "engine/prior.hpp"

#include <algorithm>

#include "engine/call.hpp"

namespace digitvae {

void sample_prior(std::uint64_t seed, Stream stream, std::uint64_t first, std::size_t count, std::size_t dim,
                  float* out, unsigned threads, const Poll& poll) {
  constexpr std::size_t kRows = 4096;  // under a millisecond: often enough to poll
  const auto make_worker = [=]() -> TileWork {
    return [=](std::size_t block) {
      const std::size_t start = block * kRows;
      fill_standard_normal(seed, stream, first + start, std::min(kRows, count - start), dim, out + start * dim);
    };
  };
  Workers workers;
  run_call(true, poll, [&](const Poll& asked) {
    for_each_tile(workers, (count + kRows - 1) / kRows, threads, make_worker, asked);
  });
}

}  // namespace digitvae
