// Work cut into tiles of constant shape, spread over threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

#include "schedule/workers.hpp"

namespace digitvae {

// Rows in a full tile, the constant shape in which models are run: matrix kernels are free to round a row
// differently when the number of rows differs, and only a constant shape rules that out on every processor.
// tile_shapes.hpp has the exception that is proved first. Measured: docs/performance.md, "The tile".
inline constexpr std::size_t kTileRows = 128;

// Asked every kPollInterval, on the calling thread only, with the tiles done so far and all; true means
// stop. May be empty.
using Poll = std::function<bool(std::size_t done, std::size_t tiles)>;
inline constexpr auto kPollInterval = std::chrono::milliseconds(20);

// Asks a poll when it is time to.
class Asker {
 public:
  explicit Asker(const Poll& poll) : poll_(poll), last_(poll ? Clock::now() : Clock::time_point()) {}

  // Throws Cancelled if it says stop.
  void ask(std::size_t done, std::size_t tiles);

 private:
  using Clock = std::chrono::steady_clock;

  const Poll& poll_;
  Clock::time_point last_;
};

// Does one tile; every worker thread gets its own, so that it can own scratch memory.
using TileWork = std::function<void(std::size_t tile)>;

// Run tiles 0 … tiles−1, on `threads` threads of which the caller is one (0: as many as this process may use).
// The first exception of any worker stops all and is thrown again here; Cancelled if the poll says so.
void for_each_tile(Workers& workers, std::size_t tiles, unsigned threads, const std::function<TileWork()>& make_worker,
                   const Poll& poll);

// Processors this process may run on (affinity respected), at least 1.
unsigned available_threads();

}  // namespace digitvae
