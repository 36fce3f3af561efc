#include "schedule/optimized.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "base/error.hpp"

using namespace digitvae;

TEST_CASE("an optimized twin is made once, when enough rows or calls have been asked for") {
  int made = 0;
  const Optimized<int> twin([&made] { return std::make_unique<const int>(++made); });
  twin.prepare_for(kWorthwhileRows - 1);
  CHECK(twin.get() == nullptr);
  twin.prepare_for(1);
  REQUIRE(twin.get() != nullptr);
  twin.prepare_for(kWorthwhileRows);
  twin.prepare();
  CHECK(*twin.get() == 1);
  CHECK(made == 1);

  const Optimized<int> of_few([] { return std::make_unique<const int>(2); });
  for (std::size_t i = 1; i < kWorthwhileCalls; ++i) of_few.prepare_for(1);
  CHECK(of_few.get() == nullptr);
  of_few.prepare_for(1);
  CHECK(of_few.get() != nullptr);
}

TEST_CASE("many threads make one twin") {
  std::atomic<int> made{0};
  const Optimized<int> twin([&made] { return std::make_unique<const int>(++made); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 1000; ++call) twin.prepare_for(16);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 1);
  REQUIRE(twin.get() != nullptr);
  CHECK(*twin.get() == 1);
}

TEST_CASE("what cannot be made is not tried again, and calls go on without it") {
  int tried = 0;
  const Optimized<int> failing([&tried]() -> std::unique_ptr<const int> {
    ++tried;
    throw std::bad_alloc();
  });
  const Optimized<int> unfit([]() -> std::unique_ptr<const int> { return nullptr; });
  const Optimized<int> none(nullptr);
  for (int call = 0; call < 3; ++call) {
    for (const Optimized<int>* twin : {&failing, &unfit, &none}) {
      twin->prepare();
      CHECK(twin->get() == nullptr);
    }
  }
  CHECK(tried == 1);
}

TEST_CASE("a call that is stopped while it makes the twin leaves that to another") {
  int tried = 0;
  const Optimized<int> twin([&tried] {
    if (++tried == 1) throw Cancelled();
    return std::make_unique<const int>(tried);
  });
  CHECK_THROWS_AS(twin.prepare(), Cancelled);
  CHECK(twin.get() == nullptr);
  twin.prepare();
  REQUIRE(twin.get() != nullptr);
  CHECK(*twin.get() == 2);
}

TEST_CASE("nobody waits for a thread that makes the twin") {
  std::atomic<bool> making{false};
  std::atomic<bool> let_go{false};
  const Optimized<int> twin([&] {
    making = true;
    while (!let_go) std::this_thread::yield();
    return std::make_unique<const int>(1);
  });
  std::thread maker([&] { twin.prepare(); });
  while (!making) std::this_thread::yield();
  twin.prepare();
  CHECK(twin.get() == nullptr);
  let_go = true;
  maker.join();
  CHECK(twin.get() != nullptr);
}
