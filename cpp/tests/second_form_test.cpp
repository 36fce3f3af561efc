#include "engine/second_form.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "error.hpp"

using namespace digitvae;

TEST_CASE("a second form is made once, when enough rows or calls have been asked for") {
  int made = 0;
  const SecondForm<int> form([&made] { return std::make_unique<const int>(++made); });
  form.prepare_for(kWorthwhileRows - 1);
  CHECK(form.get() == nullptr);
  form.prepare_for(1);
  REQUIRE(form.get() != nullptr);
  form.prepare_for(kWorthwhileRows);
  form.prepare();
  CHECK(*form.get() == 1);
  CHECK(made == 1);

  const SecondForm<int> of_few([] { return std::make_unique<const int>(2); });
  for (std::size_t i = 1; i < kWorthwhileCalls; ++i) of_few.prepare_for(1);
  CHECK(of_few.get() == nullptr);
  of_few.prepare_for(1);
  CHECK(of_few.get() != nullptr);
}

TEST_CASE("many threads make one second form") {
  std::atomic<int> made{0};
  const SecondForm<int> form([&made] { return std::make_unique<const int>(++made); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 1000; ++call) form.prepare_for(16);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 1);
  REQUIRE(form.get() != nullptr);
  CHECK(*form.get() == 1);
}

TEST_CASE("what cannot be made is not tried again, and calls go on without it") {
  int tried = 0;
  const SecondForm<int> failing([&tried]() -> std::unique_ptr<const int> {
    ++tried;
    throw std::bad_alloc();
  });
  const SecondForm<int> unfit([]() -> std::unique_ptr<const int> { return nullptr; });
  const SecondForm<int> none(nullptr);
  for (int call = 0; call < 3; ++call) {
    for (const SecondForm<int>* form : {&failing, &unfit, &none}) {
      form->prepare();
      CHECK(form->get() == nullptr);
    }
  }
  CHECK(tried == 1);
}

TEST_CASE("a call that is stopped while it makes the second form leaves that to another") {
  int tried = 0;
  const SecondForm<int> form([&tried] {
    if (++tried == 1) throw Cancelled();
    return std::make_unique<const int>(tried);
  });
  CHECK_THROWS_AS(form.prepare(), Cancelled);
  CHECK(form.get() == nullptr);
  form.prepare();
  REQUIRE(form.get() != nullptr);
  CHECK(*form.get() == 2);
}

TEST_CASE("nobody waits for a thread that makes the second form") {
  std::atomic<bool> making{false};
  std::atomic<bool> let_go{false};
  const SecondForm<int> form([&] {
    making = true;
    while (!let_go) std::this_thread::yield();
    return std::make_unique<const int>(1);
  });
  std::thread maker([&] { form.prepare(); });
  while (!making) std::this_thread::yield();
  form.prepare();
  CHECK(form.get() == nullptr);
  let_go = true;
  maker.join();
  CHECK(form.get() != nullptr);
}
