#include "schedule/call.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "onnx/session.hpp"
#include "onnx/stop.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

namespace {

const Poll kGoOn = [](std::size_t, std::size_t) { return false; };

// As a run of a model does that takes for ever: it ends when it is stopped.
void wait_for_stop() {
  while (!Stop::of_this_thread()->is_asked()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  throw Cancelled();
}

}  // namespace

TEST_CASE("the work of a call is done on the caller's thread if it is quick, or if nobody asks") {
  const std::thread::id caller = std::this_thread::get_id();
  const auto on_which = [](bool quick, const Poll& poll) {
    std::thread::id id;
    bool stoppable = false;
    run_call(quick, poll, [&](const Poll& asked) {
      id = std::this_thread::get_id();
      stoppable = Stop::of_this_thread() != nullptr;
      CHECK(static_cast<bool>(asked) == static_cast<bool>(poll));
    });
    CHECK(Stop::of_this_thread() == nullptr);
    return std::make_pair(id, stoppable);
  };
  CHECK(on_which(true, kGoOn) == std::make_pair(caller, false));
  CHECK(on_which(false, {}) == std::make_pair(caller, false));
  const auto [other, stoppable] = on_which(false, kGoOn);
  CHECK(other != caller);
  CHECK(stoppable);
}

TEST_CASE("a poll is asked on the caller's thread while the work says nothing, and stops it") {
  const std::thread::id caller = std::this_thread::get_id();
  int polls = 0;
  const Poll third_says_stop = [&](std::size_t done, std::size_t tiles) {
    CHECK(std::this_thread::get_id() == caller);
    CHECK((done == 0 && tiles == 1));
    return ++polls == 3;
  };
  CHECK_THROWS_AS(run_call(false, third_says_stop, [](const Poll&) { wait_for_stop(); }), Cancelled);
  CHECK(polls == 3);
}

TEST_CASE("all threads of a call are stopped") {
  Workers workers;
  std::atomic<int> inside{0};
  const auto make_worker = [&]() -> TileWork {
    return [&](std::size_t) {
      ++inside;
      wait_for_stop();
    };
  };
  const Poll when_all_are_inside = [&](std::size_t, std::size_t) { return inside == 3; };
  CHECK_THROWS_AS(run_call(false, when_all_are_inside,
                           [&](const Poll& asked) { for_each_tile(workers, 10, 3, make_worker, asked); }),
                  Cancelled);
}

TEST_CASE("the caller's poll hears how much is done on another thread") {
  Workers workers;
  std::vector<std::size_t> heard;
  const auto make_worker = []() -> TileWork {
    return [](std::size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  };
  const Poll hears = [&](std::size_t done, std::size_t tiles) {
    if (done > 0) {
      CHECK(tiles == 30);
      heard.push_back(done);
    }
    return false;
  };
  run_call(false, hears, [&](const Poll& asked) { for_each_tile(workers, 30, 2, make_worker, asked); });
  CHECK_FALSE(heard.empty());
  CHECK(std::is_sorted(heard.begin(), heard.end()));
}

TEST_CASE("what the work or the poll throws reaches the caller, and work that ends after a stop is cancelled") {
  CHECK_THROWS_WITH(run_call(false, kGoOn, [](const Poll&) { throw std::runtime_error("nonsense"); }), "nonsense");
  const Poll throws = [](std::size_t, std::size_t) -> bool { throw std::runtime_error("a callback's own"); };
  CHECK_THROWS_WITH(run_call(false, throws, [](const Poll&) { wait_for_stop(); }), "a callback's own");
  const Poll stops = [](std::size_t, std::size_t) { return true; };
  CHECK_THROWS_AS(run_call(false, stops,
                           [](const Poll&) {
                             while (!Stop::of_this_thread()->is_asked()) std::this_thread::yield();
                           }),
                  Cancelled);
}

TEST_CASE("a run of a model is cancelled by its thread's stop, before and while it runs, and the session goes on") {
  const std::string model = read_model("decoder.onnx");
  const Session session(open_runtime(), as_network(model));
  std::vector<float> z(kTileRows * 40);
  std::vector<float> x(kTileRows * 784);
  const Session::Tensor input(session, z.data(), kTileRows, 40);
  const Session::Tensor output(session, x.data(), kTileRows, 784);
  Stop stop;
  {
    const Stop::OfThisThread stoppable(&stop);
    session.run({&input}, {&output});
    std::thread asks([&] { stop.ask(); });
    CHECK_THROWS_AS(
        [&] {
          for (int i = 0; i < 5'000; ++i) session.run({&input}, {&output});
        }(),
        Cancelled);
    asks.join();
    CHECK_THROWS_AS(session.run({&input}, {&output}), Cancelled);
  }
  session.run({&input}, {&output});
}
