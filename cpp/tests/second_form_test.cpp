#include "engine/second_form.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <thread>
#include <vector>

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
