#include "schedule/tiles.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "base/error.hpp"
#include "base/forks.hpp"
#include "onnx/stop.hpp"

namespace digitvae {
void Asker::ask(std::size_t done, std::size_t tiles) {
  if (!poll_ || Clock::now() - last_ < kPollInterval) return;
  if (poll_(done, tiles)) throw Cancelled();
  last_ = Clock::now();
}

unsigned available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

void for_each_tile(Workers& workers, std::size_t tiles, unsigned threads, const std::function<TileWork()>& make_worker,
                   const Poll& poll) {
  if (tiles == 0) return;
  if (threads == 0) threads = available_threads();
  const std::size_t helpers = std::min<std::size_t>(threads, tiles) - 1;
  // Whether a poll has forked in the midst of this, and this is the child: what the helpers had begun never ends here.
  const auto is_halved = [helpers, generation = fork_generation()] {
    return helpers > 0 && fork_generation() != generation;
  };
  const std::thread::id caller = std::this_thread::get_id();
  Stop* const stop = Stop::of_this_thread();
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> done{0};
  std::atomic<bool> failed{false};  // and no mutex, which another thread might hold when a poll forks
  std::exception_ptr error;         // the first, once all workers have ended
  workers.run(helpers, [&] {
    const Stop::OfThisThread stoppable(stop);
    try {
      const TileWork work = make_worker();
      const Poll none;
      Asker asker(std::this_thread::get_id() == caller ? poll : none);
      while (!failed.load(std::memory_order_relaxed)) {
        const std::size_t tile = next.fetch_add(1, std::memory_order_relaxed);
        if (tile >= tiles) return;
        work(tile);
        const std::size_t all_done = done.fetch_add(1, std::memory_order_relaxed) + 1;
        if (all_done < tiles) asker.ask(all_done, tiles);  // at the end it is too late to stop
        if (is_halved()) return;
      }
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  });
  if (error) std::rethrow_exception(error);
  if (is_halved()) throw_forked_in_callback();
}

}  // namespace digitvae
