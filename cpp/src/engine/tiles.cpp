#include "engine/tiles.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "error.hpp"

namespace digitvae {
namespace {

using Clock = std::chrono::steady_clock;

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
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::move(error);
    stopped_.store(true, std::memory_order_relaxed);
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const std::size_t tiles_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

void work_through(Schedule& schedule, const std::function<TileWork()>& make_worker, const Poll& poll) {
  try {
    const TileWork work = make_worker();
    Clock::time_point last_poll = Clock::now();
    for (std::size_t tile = 0; schedule.take(tile);) {
      work(tile);
      schedule.finish_one();
      // At the end it is too late to stop.
      const std::size_t done = schedule.done();
      if (poll && done < schedule.tiles() && Clock::now() - last_poll >= kPollInterval) {
        if (poll(done, schedule.tiles())) throw Cancelled();
        last_poll = Clock::now();
      }
    }
  } catch (...) {
    schedule.fail(std::current_exception());
  }
}

}  // namespace

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
  workers.run(std::min<std::size_t>(threads, tiles) - 1, [&] {
    const bool asks = std::this_thread::get_id() == caller;
    work_through(schedule, make_worker, asks ? poll : none);
  });
  schedule.rethrow();
}

}  // namespace digitvae
