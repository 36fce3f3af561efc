// Callers whose threads round otherwise, take subnormal numbers for zero, or trap.
#include "base/arithmetic.hpp"

#include <digitvae/digitvae.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cfenv>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "schedule/call.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

namespace {

constexpr std::size_t kCount = 300;
constexpr std::size_t kPixels = 784;
constexpr std::size_t kDim = 40;

// 1/3 in the arithmetic of this thread: smaller where it rounds downwards or towards zero.
float third(float of = 1.0F) {
  const volatile float one = of;
  const volatile float three = 3.0F;
  return one / three;
}

// Half of the smallest normal number: 0 where subnormal numbers are.
float half_of_smallest() {
  const volatile float smallest = 1.17549435e-38F;
  const volatile float half = 0.5F;
  return smallest * half;
}

struct Results {
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(kCount * kPixels);
  std::vector<float> x = std::vector<float>(kCount * kPixels);
  std::vector<float> z = std::vector<float>(kCount * kDim);
  std::vector<float> mu = std::vector<float>(kCount * kDim);
  std::vector<float> logvar = std::vector<float>(kCount * kDim);
  std::vector<float> path = std::vector<float>(9 * kDim);
  std::vector<float> grid = std::vector<float>(6 * 7 * kDim);
  std::vector<float> point = std::vector<float>(kDim);
  bool callers_in_callback = true;

  bool operator==(const Results& other) const {
    return bytes == other.bytes && same_bits(x, other.x) && same_bits(z, other.z) && same_bits(mu, other.mu) &&
           same_bits(logvar, other.logvar) && same_bits(path, other.path) && same_bits(grid, other.grid) &&
           same_bits(point, other.point);
  }
};

std::size_t bytes_of(const std::vector<float>& values) { return values.size() * sizeof(float); }

// All that the library computes, from opening its models on.
Results compute(std::uint32_t threads) {
  Results results;
  dvae_decoder* decoder = nullptr;
  dvae_encoder* encoder = nullptr;
  dvae_prior* prior = nullptr;
  const std::string mixture = read_test_prior();
  REQUIRE(dvae_decoder_open(model_path("decoder.onnx").c_str(), nullptr, &decoder) == DVAE_OK);
  REQUIRE(dvae_encoder_open(model_path("encoder.onnx").c_str(), nullptr, &encoder) == DVAE_OK);
  REQUIRE(dvae_prior_open_memory(mixture.data(), mixture.size(), nullptr, &prior) == DVAE_OK);
  struct Expected {
    float positive, negative, half;
    bool seen;
  } expected{third(1.0F), third(-1.0F), half_of_smallest(), true};
  const dvae_progress look = [](void* context, std::uint64_t, std::uint64_t) -> std::int32_t {
    auto& callers = *static_cast<Expected*>(context);
    callers.seen = callers.seen && third(1.0F) == callers.positive && third(-1.0F) == callers.negative &&
                   half_of_smallest() == callers.half;
    return 0;
  };
  dvae_sample_options sample = DVAE_SAMPLE_OPTIONS_INIT;
  sample.threads = threads;
  sample.prior = prior;
  sample.truncation = 0.7F;
  sample.progress = look;
  sample.progress_context = &expected;
  dvae_run_options run = DVAE_RUN_OPTIONS_INIT;
  run.threads = threads;
  run.progress = look;
  run.progress_context = &expected;
  Results& r = results;
  CHECK(dvae_sample_u8(decoder, &sample, kCount, r.bytes.data(), r.bytes.size(), nullptr) == DVAE_OK);
  CHECK(dvae_sample_f32(decoder, &sample, kCount, r.x.data(), bytes_of(r.x), nullptr) == DVAE_OK);
  CHECK(dvae_latents(decoder, &sample, kCount, r.z.data(), bytes_of(r.z), nullptr) == DVAE_OK);
  CHECK(dvae_encode_f32(encoder, r.x.data(), kCount, r.mu.data(), r.logvar.data(), bytes_of(r.mu), &run) == DVAE_OK);
  const float* const a = r.z.data();
  CHECK(dvae_interpolate(a, a + kDim, 1, kDim, 9, DVAE_SLERP, r.path.data(), bytes_of(r.path), &run) == DVAE_OK);
  CHECK(dvae_grid(a, kDim, 6, 7, r.grid.data(), bytes_of(r.grid), &run) == DVAE_OK);
  CHECK(dvae_grid_point(a, kDim, 0.3, 0.7, r.point.data(), bytes_of(r.point)) == DVAE_OK);
  r.callers_in_callback = expected.seen;
  dvae_decoder_close(decoder);
  dvae_encoder_close(encoder);
  dvae_prior_close(prior);
  return results;
}

#if defined(__x86_64__)
unsigned control() { return _mm_getcsr() & ~0x3FU; }
#else
unsigned control() { return static_cast<unsigned>(std::fegetround()); }
#endif

// As long as it lives, this thread computes otherwise.
class Otherwise {
 public:
  explicit Otherwise(int rounding, unsigned bits) {
    std::fegetenv(&before_);
    std::fesetround(rounding);
#if defined(__x86_64__)
    _mm_setcsr((_mm_getcsr() | (bits & 0x8040U)) & ~(bits & 0x1F80U));
#else
    (void)bits;
#endif
  }
  ~Otherwise() { std::fesetenv(&before_); }
  Otherwise(const Otherwise&) = delete;
  Otherwise& operator=(const Otherwise&) = delete;

 private:
  std::fenv_t before_{};
};

}  // namespace

TEST_CASE("the caller's floating-point arithmetic changes no bit, and is his again in callbacks and afterwards",
          "[large]") {
  constexpr unsigned kFlushAndZero = 0x8040;
  constexpr unsigned kTraps = 0x0680;  // invalid operations, division by zero and overflow trap
  const Results expected = compute(1);
  const std::vector<std::pair<int, unsigned>> others{{FE_UPWARD, 0U},
                                                     {FE_DOWNWARD, 0U},
                                                     {FE_TOWARDZERO, kFlushAndZero},
                                                     {FE_TONEAREST, kFlushAndZero},
                                                     {FE_TONEAREST, kTraps}};
  for (const auto& [rounding, bits] : others) {
    for (const std::uint32_t threads : {1U, 4U}) {
      INFO("rounding " << rounding << ", bits " << bits << ", threads " << threads);
      unsigned before = 0;
      unsigned after = 0;
      std::unique_ptr<Results> found;
      {
        const Otherwise otherwise(rounding, bits);
        before = control();
        found = std::make_unique<Results>(compute(threads));
        after = control();
      }
      CHECK(*found == expected);
      CHECK(found->callers_in_callback);
      CHECK(after == before);
    }
  }
}

TEST_CASE("subnormal values count as what they are, whatever the caller takes them for") {
  const float tiny[] = {-1e-40F, 1e-40F};
  float out[4] = {9, 9, 9, 9};
  dvae_encoder* encoder = nullptr;
  REQUIRE(dvae_encoder_open(model_path("encoder.onnx").c_str(), nullptr, &encoder) == DVAE_OK);
  std::vector<float> image(kPixels, 0.0F);
  image[3] = -1e-40F;
  std::vector<float> mu(kDim);
  std::vector<float> logvar(kDim);
  {
    const Otherwise otherwise(FE_TONEAREST, 0x8040);
    CHECK(dvae_interpolate(tiny, tiny + 1, 1, 1, 4, DVAE_LERP, out, sizeof out, nullptr) == DVAE_OK);
    CHECK(dvae_encode_f32(encoder, image.data(), 1, mu.data(), logvar.data(), bytes_of(mu), nullptr) ==
          DVAE_INVALID_ARGUMENT);
  }
  CHECK(out[1] < 0.0F);
  CHECK(out[1] > tiny[0]);
  CHECK(out[2] > 0.0F);
  dvae_encoder_close(encoder);
}

// Large, like the next two: valgrind knows one rounding mode only.
TEST_CASE("callbacks may change the arithmetic for good", "[large]") {
  const Otherwise otherwise(FE_DOWNWARD, 0);
  {
    DefaultArithmetic arithmetic;
    CHECK(std::fegetround() != FE_UPWARD);
    const float nearest = third();
    {
      const DefaultArithmetic::Suspended suspended(arithmetic);
      CHECK(third() < nearest);
      std::fesetround(FE_UPWARD);
    }
    CHECK(third() == nearest);
  }
  CHECK(std::fegetround() == FE_UPWARD);
}

TEST_CASE("the work of a call is done in the default arithmetic, and its poll is asked in the caller's", "[large]") {
  const float nearest = third();
  const Otherwise otherwise(FE_DOWNWARD, 0);
  std::vector<float> in_poll;
  const Poll poll = [&](std::size_t, std::size_t) {
    in_poll.push_back(third());
    return false;
  };
  for (const bool quick : {true, false}) {
    std::vector<float> at_work;
    run_call(quick, poll, [&](const Poll& asked) {
      at_work.push_back(third());
      asked(0, 1);
      at_work.push_back(third());
      if (!quick) std::this_thread::sleep_for(3 * kPollInterval);
    });
    CHECK(at_work == std::vector<float>(2, nearest));
    REQUIRE_FALSE(in_poll.empty());
    for (const float value : in_poll) CHECK(value < nearest);
    in_poll.clear();
    CHECK(third() < nearest);
  }
}

TEST_CASE("threads that were started in another arithmetic work in the default one", "[large]") {
  const float nearest = third();
  Workers workers;
  std::atomic<int> present{0};
  std::atomic<int> right{0};
  const Otherwise otherwise(FE_DOWNWARD, 0);
  workers.run(2, [&] {
    right += third() == nearest ? 1 : 0;
    ++present;
    while (present < 3) std::this_thread::yield();
  });
  CHECK(right == 2);  // run_call sees to the caller's own thread
}
