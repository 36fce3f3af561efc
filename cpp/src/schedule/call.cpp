#include "schedule/call.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "base/arithmetic.hpp"
#include "base/error.hpp"
#include "base/forks.hpp"
#include "onnx/stop.hpp"

namespace digitvae {
namespace {

using Work = std::function<void(const Poll& poll)>;

void run_here(const Poll& poll, const Work& work) {
  DefaultArithmetic arithmetic;
  if (!poll) return work(poll);
  work([&](std::size_t done, std::size_t tiles) {
    const DefaultArithmetic::Suspended suspended(arithmetic);
    return poll(done, tiles);
  });
}

// Work that another thread does.
class Elsewhere {
 public:
  // Throws what std::thread throws.
  explicit Elsewhere(const Work& work) {
    const ForkWaits inside;
    const SignalsBlocked blocked;
    thread_ = std::thread([this, &work] { serve(work); });
  }

  // Until it has ended, ask `poll`. False in a child that the poll forked, where that thread is not.
  bool watch(const Poll& poll) {
    const unsigned generation = fork_generation();
    std::unique_lock<std::mutex> lock(mutex_);
    const auto has_ended = [this] { return ended_; };
    while (!stop_.is_asked() && !wake_.wait_for(lock, kPollInterval, has_ended)) {
      lock.unlock();
      const bool stop = asks_to_stop(poll);
      if (fork_generation() != generation) return false;
      if (stop) stop_.ask();
      lock.lock();
    }
    wake_.wait(lock, has_ended);
    lock.unlock();
    thread_.join();
    return true;
  }

  void rethrow() const {
    if (failure_of_poll_) std::rethrow_exception(failure_of_poll_);
    if (failure_) std::rethrow_exception(failure_);
    if (stop_.is_asked()) throw Cancelled();
  }

 private:
  void serve(const Work& work) {
    try {
      const Stop::OfThisThread stoppable(&stop_);
      run_here(
          [this](std::size_t done, std::size_t tiles) {
            tiles_ = tiles;  // first: a share that is too small does no harm
            done_ = done;
            return stop_.is_asked();
          },
          work);
    } catch (...) {
      failure_ = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    wake_.notify_one();
  }

  bool asks_to_stop(const Poll& poll) {
    try {
      return poll(done_, tiles_);
    } catch (...) {
      failure_of_poll_ = std::current_exception();
      return true;
    }
  }

  Stop stop_;
  std::atomic<std::size_t> done_{0};
  std::atomic<std::size_t> tiles_{1};
  std::exception_ptr failure_;
  std::exception_ptr failure_of_poll_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace

void run_call(bool quick, const Poll& poll, const Work& work) {
  std::unique_ptr<Elsewhere> elsewhere;
  if (!quick && poll) {
    try {
      elsewhere = std::make_unique<Elsewhere>(work);
    } catch (const std::exception&) {  // the system gives no more threads or memory: then it is done here
    }
  }
  if (elsewhere == nullptr) return run_here(poll, work);
  if (!elsewhere->watch(poll)) {
    elsewhere.release();  // which waits for a thread that is not there
    throw_forked_in_callback();
  }
  elsewhere->rethrow();
}

}  // namespace digitvae
