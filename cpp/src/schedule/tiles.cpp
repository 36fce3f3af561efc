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
namespace {

// Shared by the workers of one call: who takes which tile, and the first thing that went wrong.
class Schedule {
 public:
  explicit Schedule(std::size_t tiles) : tiles_(tiles) {}

  bool take(std::size_t& tile) {
    if (stopped_.load(std::memory_order_relaxed)) return false;
    tile = next_.fetch_add(1, std::memory_order_relaxed);
    return tile < tiles_;
  }

  void finish_one() { done_.fetch_add(1, std::memory_order_relaxed); }
  std::size_t done() const { return done_.load(std::memory_order_relaxed); }
  std::size_t tiles() const { return tiles_; }

  void fail(std::exception_ptr error) {
    if (!failed_.exchange(true)) error_ = std::move(error);
    stopped_.store(true, std::memory_order_relaxed);
  }

  // Once all workers have ended.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const std::size_t tiles_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> failed_{false};  // and no mutex, which another thread might hold when a poll forks
  std::exception_ptr error_;
};

// Whether a poll has forked in the midst of a call, and this is the child: what the helpers had begun never ends here.
class Halved {
 public:
  explicit Halved(std::size_t helpers) : helpers_(helpers) {}

  explicit operator bool() const { return helpers_ > 0 && fork_generation() != generation_; }

 private:
  std::size_t helpers_;
  unsigned generation_ = fork_generation();
};

void work_through(Schedule& schedule, const std::function<TileWork()>& make_worker, const Poll& poll,
                  const Halved& halved) {
  try {
    const TileWork work = make_worker();
    Asker asker(poll);
    for (std::size_t tile = 0; schedule.take(tile);) {
      work(tile);
      schedule.finish_one();
      // At the end it is too late to stop.
      const std::size_t done = schedule.done();
      if (done < schedule.tiles()) asker.ask(done, schedule.tiles());
      if (halved) return;
    }
  } catch (...) {
    schedule.fail(std::current_exception());
  }
}

}  // namespace

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
  Schedule schedule(tiles);
  const std::thread::id caller = std::this_thread::get_id();
  const Poll none;
  const std::size_t helpers = std::min<std::size_t>(threads, tiles) - 1;
  const Halved halved(helpers);
  Stop* const stop = Stop::of_this_thread();
  workers.run(helpers, [&] {
    const Stop::OfThisThread stoppable(stop);
    const bool asks = std::this_thread::get_id() == caller;
    work_through(schedule, make_worker, asks ? poll : none, halved);
  });
  schedule.rethrow();
  if (halved) throw_forked_in_callback();
}

}  // namespace digitvae
