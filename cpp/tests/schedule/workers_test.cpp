#include "schedule/workers.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using namespace digitvae;

namespace {

// Run until `count` threads are in the work at the same time, and give their identities.
std::set<std::thread::id> meet(Workers& workers, std::size_t count) {
  std::mutex mutex;
  std::set<std::thread::id> met;
  std::atomic<std::size_t> present{0};
  workers.run(count - 1, [&] {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      met.insert(std::this_thread::get_id());
    }
    ++present;
    while (present < count) std::this_thread::yield();
  });
  return met;
}

}  // namespace

TEST_CASE("work runs on the calling thread and on as many others, which are kept for the next call") {
  Workers workers;
  const std::set<std::thread::id> three = meet(workers, 3);
  CHECK(three.size() == 3);
  CHECK(three.count(std::this_thread::get_id()) == 1);
  for (int i = 0; i < 50; ++i) CHECK(meet(workers, 3) == three);
  const std::set<std::thread::id> five = meet(workers, 5);
  CHECK(five.size() == 5);
  for (const std::thread::id& id : three) CHECK(five.count(id) == 1);
}

TEST_CASE("helpers that have gone to sleep wake up for more work") {
  Workers workers;
  const std::set<std::thread::id> before = meet(workers, 2);
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(meet(workers, 2) == before);
  }
}

TEST_CASE("a call returns when all who began have ended, without waiting for those who did not come") {
  Workers workers;
  std::atomic<int> inside{0};
  for (int i = 0; i < 2000; ++i) {
    std::atomic<int> calls{0};
    workers.run(3, [&] {
      ++inside;
      ++calls;
      --inside;
    });
    REQUIRE(inside == 0);
    REQUIRE(calls >= 1);
    REQUIRE(calls <= 4);
  }
}

TEST_CASE("calls at the same time, and inside one another, all get their helpers") {
  Workers workers;
  std::atomic<int> done{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 50; ++j) done += static_cast<int>(meet(workers, 2).size());
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(done == 4 * 50 * 2);
  workers.run(0, [&] { CHECK(meet(workers, 3).size() == 3); });
  std::atomic<std::size_t> nested{0};
  workers.run(1, [&] { nested += meet(workers, 2).size(); });
  CHECK(nested % 2 == 0);
  CHECK(nested >= 2);
}

TEST_CASE("short work does without helpers while another call has them") {
  Workers workers;
  workers.run(1, [] {});
  int alone = 0;
  std::atomic<bool> let_go{false};
  std::atomic<bool> taken{false};
  std::thread other([&] {
    workers.run(1, [&] {
      taken = true;
      while (!let_go) std::this_thread::yield();
    });
  });
  while (!taken) std::this_thread::yield();
  workers.run_if_free(3, [&] { ++alone; });  // not atomic: the sanitizer would see a second thread
  CHECK(alone == 1);
  let_go = true;
  other.join();
  std::atomic<int> present{0};
  workers.run_if_free(1, [&] {
    ++present;
    while (present < 2) std::this_thread::yield();
  });
  CHECK(present == 2);
}

TEST_CASE("helpers use the processors that the caller may use by now") {
  cpu_set_t all;
  CPU_ZERO(&all);
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  }
  Workers workers;
  for (const cpu_set_t& wanted : {one, all, one}) {
    REQUIRE(sched_setaffinity(0, sizeof wanted, &wanted) == 0);
    std::atomic<int> present{0};
    std::atomic<int> right{0};
    workers.run(2, [&] {
      cpu_set_t mine;
      CPU_ZERO(&mine);
      sched_getaffinity(0, sizeof mine, &mine);
      right += CPU_EQUAL(&mine, &wanted) ? 1 : 0;
      ++present;
      while (present < 3) std::this_thread::yield();
    });
    CHECK(right == 3);
  }
  REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
}

TEST_CASE("helpers leave signals to the program's own threads") {
  Workers workers;
  std::atomic<int> blocked{0};
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> present{0};
  workers.run(1, [&] {
    ++present;
    while (present < 2) std::this_thread::yield();
    if (std::this_thread::get_id() == caller) return;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGINT) + sigismember(&mask, SIGTERM);
  });
  CHECK(blocked == 2);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGINT) == 0);
}

#if !defined(__SANITIZE_THREAD__)  // which does not support threads after a fork
TEST_CASE("the child of a fork gets helpers of its own") {
  Workers workers;
  meet(workers, 3);
  const pid_t child = fork();
  if (child == 0) {
    alarm(10);
    _exit(meet(workers, 3).size() == 3 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(meet(workers, 3).size() == 3);
}
#endif
