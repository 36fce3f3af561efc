#include "base/forks.hpp"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

#include "base/error.hpp"

namespace digitvae {
namespace {

using Clock = std::chrono::steady_clock;

// A tile takes a millisecond, opening a model some more. A model that takes minutes must not hold up a program's forks.
constexpr auto kLongestWait = std::chrono::seconds(1);

// No mutex and no condition variable: their state would be the parent's in the child.
std::atomic<int> threads_inside{0};
std::atomic<int> forks_under_way{0};
std::atomic<unsigned> generation{0};
std::atomic<bool> lost{false};
thread_local int depth = 0;  // how often this thread is inside
thread_local bool gave_up = false;

void nap() { std::this_thread::sleep_for(std::chrono::microseconds(50)); }

int this_thread_inside() { return depth > 0 ? 1 : 0; }

void before_fork() {
  ++forks_under_way;  // from now on nobody comes in
  const Clock::time_point until = Clock::now() + kLongestWait;
  gave_up = false;
  while (threads_inside > this_thread_inside()) {
    if (Clock::now() >= until) {
      gave_up = true;
      return;
    }
    nap();
  }
}

void after_fork_in_parent() { --forks_under_way; }

void after_fork_in_child() {
  forks_under_way = 0;
  threads_inside = this_thread_inside();
  ++generation;
  if (gave_up) lost = true;
}

// When the library is loaded: no thread can be inside before. glibc forgets the handlers when it is unloaded.
const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

}  // namespace

ForkWaits::ForkWaits() noexcept {
  if (depth++ > 0) return;
  ++threads_inside;
  while (forks_under_way > 0) {
    --threads_inside;
    do {
      nap();
    } while (forks_under_way > 0);
    ++threads_inside;
  }
}

ForkWaits::~ForkWaits() {
  if (--depth == 0) --threads_inside;
}

InRuntime::InRuntime() {
  if (registered != 0) throw std::bad_alloc();  // the only reason there is
  if (!lost) return;
  throw RuntimeLibraryError(
      "this process was forked while another thread of its parent was inside ONNX Runtime for more than a second, so "
      "that nothing of it can be used here: fork before such calls begin, or run a program of its own (exec)");
}

bool is_lost_child() noexcept { return lost; }

unsigned fork_generation() noexcept { return generation; }

void throw_forked_in_callback() {
  throw RuntimeLibraryError(
      "a callback of this call forked, and the call's other threads are not in the child: end it there, or run a "
      "program of its own (exec)");
}

}  // namespace digitvae
