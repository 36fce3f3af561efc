#include "schedule/tiles.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/error.hpp"

using namespace digitvae;

namespace {

Workers& crew() {
  static Workers kept;
  return kept;
}

}  // namespace

TEST_CASE("every tile is done exactly once, for any number of threads") {
  for (const unsigned threads : {0U, 1U, 2U, 7U, 64U}) {
    for (const std::size_t tiles : {0U, 1U, 2U, 100U}) {
      std::vector<std::atomic<int>> done(tiles);
      for_each_tile(crew(), tiles, threads, [&]() -> TileWork { return [&](std::size_t tile) { ++done[tile]; }; }, {});
      for (const std::atomic<int>& count : done) REQUIRE(count == 1);
    }
  }
}

TEST_CASE("there are never more workers than tiles or threads") {
  std::atomic<int> workers{0};
  const auto make_worker = [&]() -> TileWork {
    ++workers;
    return [](std::size_t) {};
  };
  for_each_tile(crew(), 3, 8, make_worker, {});
  CHECK(workers <= 3);
  workers = 0;
  for_each_tile(crew(), 100, 4, make_worker, {});
  CHECK((workers >= 1 && workers <= 4));  // who comes too late is not waited for
  workers = 0;
  for_each_tile(crew(), 1000, 0, make_worker, {});
  CHECK((workers >= 1 && workers <= static_cast<int>(available_threads())));
}

TEST_CASE("the first exception stops the others and reaches the caller") {
  for (const unsigned threads : {1U, 4U}) {
    std::atomic<std::size_t> done{0};
    const auto make_worker = [&]() -> TileWork {
      return [&](std::size_t tile) {
        if (tile == 5) throw std::runtime_error("tile 5");
        ++done;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      };
    };
    CHECK_THROWS_WITH(for_each_tile(crew(), 100000, threads, make_worker, {}), "tile 5");
    CHECK(done < 1000);
  }
}

TEST_CASE("an exception while a worker sets itself up reaches the caller too") {
  CHECK_THROWS_AS(for_each_tile(crew(), 10, 3, []() -> TileWork { throw InvalidArgument("no scratch"); }, {}),
                  InvalidArgument);
}

TEST_CASE("a poll that says stop cancels the work") {
  std::atomic<std::size_t> done{0};
  const auto make_worker = [&]() -> TileWork {
    return [&](std::size_t) {
      ++done;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
  };
  int polls = 0;
  CHECK_THROWS_AS(
      for_each_tile(crew(), 1000000, 2, make_worker, [&](std::size_t, std::size_t) { return ++polls == 2; }),
      Cancelled);
  CHECK(polls == 2);
  CHECK(done < 1000000);
}

TEST_CASE("a poll hears how much is done") {
  std::vector<std::size_t> heard;
  const auto make_worker = []() -> TileWork {
    return [](std::size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  };
  for_each_tile(crew(), 20, 2, make_worker, [&](std::size_t done, std::size_t tiles) {
    CHECK(tiles == 20);
    heard.push_back(done);
    return false;
  });
  REQUIRE_FALSE(heard.empty());
  CHECK(std::is_sorted(heard.begin(), heard.end()));
  CHECK(heard.front() >= 1);
  CHECK(heard.back() <= 20);
}
