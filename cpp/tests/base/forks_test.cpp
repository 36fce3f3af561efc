// fork() at any moment of what other threads do, and in a callback.
#include "base/forks.hpp"

#include <digitvae/digitvae.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "schedule/tiles.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

#if !defined(__SANITIZE_THREAD__)  // which does not support threads after a fork

namespace {

constexpr std::size_t kPixels = 784;

// What `work` returned in a child, which is ended if it hangs: −1.
template <typename Work>
int in_child(const Work& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(work());
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

dvae_decoder* open_decoder() {
  dvae_decoder* decoder = nullptr;
  REQUIRE(dvae_decoder_open(model_path("decoder.onnx").c_str(), nullptr, &decoder) == DVAE_OK);
  return decoder;
}

dvae_status sample(const dvae_decoder* decoder, std::size_t count, std::vector<std::uint8_t>& images,
                   dvae_progress progress = nullptr, std::uint32_t threads = 2, void* context = nullptr) {
  images.assign(count * kPixels, 1);
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  options.threads = threads;
  options.progress = progress;
  options.progress_context = context;
  return dvae_sample_u8(decoder, &options, count, images.data(), images.size(), nullptr);
}

// A thread that does something again and again as long as this lives.
class Meanwhile {
 public:
  explicit Meanwhile(const std::function<void()>& work)
      : thread_([this, work] {
          do work();
          while (!ending_);
        }) {}
  ~Meanwhile() {
    ending_ = true;
    thread_.join();
  }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

 private:
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("a fork waits until no other thread is inside, and nobody comes in while it does") {
  std::atomic<bool> inside{false};
  std::atomic<bool> left{false};
  std::thread thread([&] {
    const ForkWaits outer;
    inside = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // by now the other thread forks
    {
      const ForkWaits again;
    }
    left = true;
  });
  while (!inside) std::this_thread::yield();
  const unsigned generation = fork_generation();
  CHECK(in_child([&] { return left && fork_generation() == generation + 1 && !is_lost_child() ? 7 : 0; }) == 7);
  thread.join();
  CHECK(fork_generation() == generation);
}

TEST_CASE("a thread that forks while it is inside goes on in parent and child") {
  const ForkWaits inside;
  CHECK(in_child([] {
          const ForkWaits again;
          return 7;
        }) == 7);
}

// Large, like the other that forks: valgrind takes minutes, and what a lost child leaves lying for leaks.
TEST_CASE("a fork does not wait for ever: its child is told so in every call, and hangs in none", "[large]") {
  dvae_decoder* const decoder = open_decoder();
  std::atomic<bool> inside{false};
  std::atomic<bool> forked{false};
  std::thread thread([&] {
    const ForkWaits stays;
    inside = true;
    while (!forked) std::this_thread::yield();
  });
  while (!inside) std::this_thread::yield();
  std::vector<std::uint8_t> images;
  const int code = in_child([&] {
    if (!is_lost_child() || sample(decoder, 300, images) != DVAE_RUNTIME_ERROR) return 1;
    if (std::string(dvae_last_error()).find("forked while another thread") == std::string::npos) return 2;
    if (images != std::vector<std::uint8_t>(images.size(), 0)) return 3;
    dvae_decoder* another = nullptr;
    if (dvae_decoder_open(model_path("decoder.onnx").c_str(), nullptr, &another) != DVAE_RUNTIME_ERROR) return 4;
    dvae_info info = DVAE_INFO_INIT;
    if (dvae_decoder_info(decoder, &info) != DVAE_OK || info.latent_dim != 40) return 5;
    dvae_decoder_close(decoder);
    return 7;
  });
  forked = true;
  thread.join();
  CHECK(code == 7);
  CHECK(sample(decoder, 300, images) == DVAE_OK);
  dvae_decoder_close(decoder);
}

TEST_CASE("the child of a fork uses a handle, whatever other threads did with it at that moment", "[large]") {
  constexpr int kForks = 8;
  constexpr std::size_t kEnough = 9000;  // for an optimized twin to be made
  dvae_decoder* const shared = open_decoder();
  std::vector<std::uint8_t> expected;
  REQUIRE(sample(shared, 300, expected) == DVAE_OK);
  const auto child_uses = [&](const dvae_decoder* decoder, std::size_t count) {
    return in_child([&] {
      std::vector<std::uint8_t> images;
      if (sample(decoder, count, images) != DVAE_OK) return 1;
      images.resize(expected.size());
      return images == expected ? 7 : 2;
    });
  };
  const auto some_time = [](int i) { std::this_thread::sleep_for(std::chrono::microseconds(977 * i)); };

  SECTION("a call") {
    const Meanwhile calls([&] {
      std::vector<std::uint8_t> images;
      sample(shared, 200, images);
    });
    for (int i = 0; i < kForks; ++i) {
      some_time(i);
      REQUIRE(child_uses(shared, 300) == 7);
    }
  }
  SECTION("opening and closing another") {
    const Meanwhile opens([] { dvae_decoder_close(open_decoder()); });
    for (int i = 0; i < kForks; ++i) {
      some_time(i);
      REQUIRE(child_uses(shared, 300) == 7);
    }
  }
  SECTION("making its optimized twin") {
    for (int i = 0; i < kForks; ++i) {
      dvae_decoder* const fresh = open_decoder();
      std::thread maker([&] {
        std::vector<std::uint8_t> images;
        sample(fresh, kEnough, images);
      });
      some_time(i);
      const int code = child_uses(fresh, kEnough);
      maker.join();
      dvae_decoder_close(fresh);
      REQUIRE(code == 7);
    }
  }
  dvae_decoder_close(shared);
}

TEST_CASE("a callback that forks leaves a child whose call ends, in a result or in an error, and which can call again",
          "[large]") {
  struct Child {
    bool is = false;
    bool forked = false;
    pid_t process = 0;
  };
  const dvae_progress fork_once = [](void* context, std::uint64_t, std::uint64_t) -> std::int32_t {
    Child& child = *static_cast<Child*>(context);
    if (child.forked) return 0;
    child.forked = true;
    child.process = fork();
    if (child.process == 0) {
      child.is = true;
      alarm(60);
    }
    return 0;
  };
  constexpr std::size_t kMany = 20'000;
  dvae_decoder* const decoder = open_decoder();
  std::vector<std::uint8_t> expected;
  REQUIRE(sample(decoder, kMany, expected) == DVAE_OK);
  for (const std::uint32_t threads : {1U, 3U}) {
    INFO(threads << " threads");
    Child child;
    std::vector<std::uint8_t> images;
    const dvae_status status = sample(decoder, kMany, images, fork_once, threads, &child);
    if (child.is) {
      const bool told = std::string(dvae_last_error()).find("a callback of this call forked") != std::string::npos;
      if (status == DVAE_OK ? threads != 1 || images != expected : status != DVAE_RUNTIME_ERROR || !told) _exit(1);
      dvae_decoder* another = open_decoder();
      const bool works = sample(decoder, 300, images) == DVAE_OK && sample(another, 300, images) == DVAE_OK;
      dvae_decoder_close(decoder);
      _exit(works ? 7 : 2);
    }
    CHECK(status == DVAE_OK);
    CHECK(images == expected);
    REQUIRE(child.process > 0);
    int ended = -1;
    REQUIRE(waitpid(child.process, &ended, 0) == child.process);
    CHECK(WIFEXITED(ended));
    CHECK(WEXITSTATUS(ended) == 7);
  }
  dvae_decoder_close(decoder);
}

#endif
