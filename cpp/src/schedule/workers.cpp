#include "schedule/workers.hpp"

#include <sched.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/arithmetic.hpp"
#include "base/forks.hpp"

namespace digitvae {
namespace {

using Clock = std::chrono::steady_clock;

// How long to watch before going to sleep: to be woken again takes about as long.
constexpr auto kWatch = std::chrono::microseconds(50);

template <typename Condition>
bool watch_for(const Condition& condition) {
  const Clock::time_point until = Clock::now() + kWatch;
  do {
    for (int i = 0; i < 64; ++i) {
      if (condition()) return true;
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#endif
    }
  } while (Clock::now() < until);
  return condition();
}

}  // namespace

// The threads of one process, and the work that they are called to.
class Workers::Crew {
 public:
  ~Crew() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
      ++calls_;
    }
    called_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // Not if it is a parent's: it has no threads here, and its mutex may be locked for ever.
  bool is_of_this_process() const { return generation_ == fork_generation(); }

  // False if another call has the crew.
  bool run(std::size_t helpers, const std::function<void()>& work) {
    {
      const ForkWaits inside;  // before the lock, which who is inside ONNX Runtime may come to take
      const std::lock_guard<std::mutex> lock(mutex_);
      if (work_ != nullptr) return false;
      add_threads(helpers);
      follow_processors();
      work_ = &work;
      wanted_ = helpers;
      ++calls_;
    }
    for (std::size_t i = 0; i < helpers; ++i) called_.notify_one();
    work();
    if (!is_of_this_process()) return true;  // the work forked: nobody else is in it here
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // who has not come yet need not come
    if (busy_ > 0) {
      lock.unlock();
      watch_for([this] { return busy_.load(std::memory_order_acquire) == 0; });
      lock.lock();
      finished_.wait(lock, [this] { return busy_ == 0; });
    }
    work_ = nullptr;
    return true;
  }

 private:
  void add_threads(std::size_t count) {
    const SignalsBlocked blocked;
    while (threads_.size() < count) {
      try {
        threads_.emplace_back([this] { serve(); });
      } catch (const std::exception&) {
        return;  // the system gives no more threads or memory: those we have do the work, to the same bits
      }
    }
  }

  // Threads keep the processors of whoever started them, which may have been told to use others since.
  void follow_processors() {
    cpu_set_t now;
    CPU_ZERO(&now);
    if (sched_getaffinity(0, sizeof now, &now) != 0 || CPU_EQUAL(&now, &processors_)) return;
    for (std::thread& thread : threads_) pthread_setaffinity_np(thread.native_handle(), sizeof now, &now);
    processors_ = now;
  }

  void serve() {
    const DefaultArithmetic arithmetic;  // whatever that of the thread is which started this one
    std::unique_lock<std::mutex> lock(mutex_);
    while (!ending_) {
      if (wanted_ == 0) {
        const std::size_t seen = calls_;
        lock.unlock();
        const bool called = watch_for([&] { return calls_.load(std::memory_order_acquire) != seen; });
        lock.lock();
        if (!called) called_.wait(lock, [this] { return wanted_ > 0 || ending_; });
        continue;
      }
      --wanted_;
      ++busy_;
      const std::function<void()>& work = *work_;
      lock.unlock();
      work();
      lock.lock();
      if (--busy_ == 0) finished_.notify_one();
    }
  }

  const unsigned generation_ = fork_generation();
  std::mutex mutex_;
  std::condition_variable called_;
  std::condition_variable finished_;
  std::vector<std::thread> threads_;
  cpu_set_t processors_{};  // of the last caller
  const std::function<void()>* work_ = nullptr;
  std::size_t wanted_ = 0;             // helpers that have not begun
  std::atomic<std::size_t> busy_{0};   // helpers that have not finished; changed under the mutex
  std::atomic<std::size_t> calls_{0};  // changed under the mutex
  bool ending_ = false;
};

Workers::Workers() : crew_(new Crew) {}

Workers::~Workers() {
  Crew* const crew = crew_.load();
  if (crew->is_of_this_process()) delete crew;  // a parent's is left alone
}

Workers::Crew* Workers::crew_of_this_process() {
  Crew* crew = crew_.load();
  if (crew->is_of_this_process()) return crew;
  auto own = std::make_unique<Crew>();
  return crew_.compare_exchange_strong(crew, own.get()) ? own.release() : crew;
}

void Workers::run(std::size_t helpers, const std::function<void()>& work) {
  if (helpers == 0) {
    work();
  } else if (!crew_of_this_process()->run(helpers, work)) {
    Workers extra;
    extra.run(helpers, work);
  }
}

void Workers::run_if_free(std::size_t helpers, const std::function<void()>& work) {
  if (helpers == 0 || !crew_of_this_process()->run(helpers, work)) work();
}

}  // namespace digitvae
