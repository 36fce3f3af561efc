// Threads that wait for work between calls.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

namespace digitvae {

// Threads started while this lives handle no signals: those are for the program's own.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// Starting a thread takes longer than making forty digits, so a decoder keeps its threads. They start when they
// are first needed, watch for more work for a moment after they have done some, then sleep; all signals are
// blocked in them, and they use the processors that the calling thread may use. Thread-safe: while one call has them,
// another gets threads of its own. After a fork the child starts new ones; a call that a callback forked in ends there
// without them.
class Workers {
 public:
  Workers();
  ~Workers();  // ends the threads
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Call `work` on this thread and, at the same time, on up to `helpers` others: fewer if the system gives no
  // more, or if they come too late and it has returned here. Returns when all have. `work` must not throw.
  void run(std::size_t helpers, const std::function<void()>& work);

  // The same on this thread alone while another call has the threads: for work that is too short to start some.
  void run_if_free(std::size_t helpers, const std::function<void()>& work);

 private:
  class Crew;

  Crew* crew_of_this_process();

  std::atomic<Crew*> crew_;
};

}  // namespace digitvae
