// Every allocation of ours that fails becomes a status. A program of its own, because it replaces operator
// new. ONNX Runtime's own allocations are left alone: it ends the process when some of them fail (in
// CreateEnv, and while the system loads it), which nobody outside can turn into a status.
#include <digitvae/digitvae.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <digitvae/digitvae.hpp>
#include <new>
#include <string>
#include <vector>

#include "support.hpp"

extern "C" const char __executable_start;  // both are the linker's
extern "C" const char etext;

namespace {

constexpr std::size_t kMoreThanAnyMachineHas = std::size_t{1} << 50;
constexpr long kNever = -1;
std::atomic<long> allocations_left{kNever};  // counts down while it is not negative; the one at 0 fails
std::atomic<bool> one_failed{false};

// Whether the code at `address` is this program's, with the library that is linked into it.
bool is_ours(const void* address) {
  const auto* const code = static_cast<const char*>(address);
  return code >= &__executable_start && code < &etext;
}

void* allocate(std::size_t size, std::size_t alignment, const void* caller) {
  long left = is_ours(caller) ? allocations_left.load() : kNever;
  while (left >= 0 && !allocations_left.compare_exchange_weak(left, left - 1)) {
  }
  if (left == 0) {
    one_failed = true;
    return nullptr;
  }
  if (size > kMoreThanAnyMachineHas) return nullptr;  // malloc says so too, but ends the program under sanitizers
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment, const void* caller) {
  void* const memory = allocate(size, alignment, caller);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// Run `work` again and again, failing its first allocation, its second, …, until it needs no more. Returns
// how often it failed.
template <typename Work>
int with_every_allocation_failing(const Work& work) {
  int failures = 0;
  for (long n = 0;; ++n) {
    one_failed = false;
    allocations_left = n;
    const dvae_status status = work();
    allocations_left = kNever;
    if (!one_failed) {
      REQUIRE(status == DVAE_OK);
      return failures;
    }
    INFO("allocation " << n << ": " << dvae_status_name(status) << ", " << dvae_last_error());
    // Fewer threads than asked for do the work all the same.
    REQUIRE((status == DVAE_OUT_OF_MEMORY || status == DVAE_OK));
    if (status != DVAE_OK) ++failures;
  }
}

}  // namespace

#define CALLER __builtin_return_address(0)
void* operator new(std::size_t size) { return allocate_or_throw(size, 1, CALLER); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 1, CALLER); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment), CALLER);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment), CALLER);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1, CALLER); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1, CALLER); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using namespace digitvae::testing;

TEST_CASE("an allocation that fails while a model is opened is a status, and no handle") {
  const std::string model = read_corpus("decoder_tiny.onnx");
  dvae_decoder* decoder = nullptr;
  const int failures = with_every_allocation_failing([&] {
    const dvae_status status = dvae_decoder_open_memory(model.data(), model.size(), nullptr, &decoder);
    if (status == DVAE_OK) {
      dvae_decoder_close(decoder);
    } else if (decoder != nullptr) {
      return dvae_status{DVAE_INTERNAL_ERROR};
    }
    return status;
  });
  CHECK(failures > 20);
}

TEST_CASE("an allocation that fails while images are made is a status, and zeros") {
  const std::string model = read_model("decoder.onnx");
  const std::string mixture = read_test_prior();
  dvae_decoder* decoder = nullptr;
  dvae_prior* prior = nullptr;
  REQUIRE(dvae_decoder_open_memory(model.data(), model.size(), nullptr, &decoder) == DVAE_OK);
  REQUIRE(dvae_prior_open_memory(mixture.data(), mixture.size(), nullptr, &prior) == DVAE_OK);
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  options.prior = prior;
  options.threads = 3;
  std::vector<std::uint8_t> images(200 * 784);
  for (const std::size_t count : {std::size_t{1}, std::size_t{200}}) {
    const std::size_t bytes = count * 784;
    const int failures = with_every_allocation_failing([&] {
      std::fill(images.begin(), images.end(), std::uint8_t{9});
      const dvae_status status = dvae_sample_u8(decoder, &options, count, images.data(), bytes, nullptr);
      const std::uint8_t last = images[bytes - 1];
      return status != DVAE_OK && last != 0 && last != 9 ? dvae_status{DVAE_INTERNAL_ERROR} : status;
    });
    CHECK(failures > 0);
  }
  dvae_prior_close(prior);
  dvae_decoder_close(decoder);
}

TEST_CASE("a chunk that no memory can hold is a status, and no call") {
  const std::string model = read_corpus("decoder_tiny.onnx");
  dvae_decoder* decoder = nullptr;
  REQUIRE(dvae_decoder_open_memory(model.data(), model.size(), nullptr, &decoder) == DVAE_OK);
  int calls = 0;
  const auto count_calls = [](void* context, std::uint64_t, std::size_t, const std::uint8_t*, const std::int32_t*) {
    ++*static_cast<int*>(context);
    return std::int32_t{0};
  };
  CHECK(dvae_stream_u8(decoder, nullptr, UINT64_MAX, std::size_t{1} << 50, count_calls, &calls) == DVAE_OUT_OF_MEMORY);
  CHECK(calls == 0);
  const dvae::Decoder wrapped(model.data(), model.size());
  const auto ignore = [](std::uint64_t, std::size_t, const std::uint8_t*, const std::int32_t*) { return false; };
  CHECK_THROWS_AS(wrapped.stream<std::uint8_t>(UINT64_MAX, ignore, {}, std::size_t{1} << 50), std::bad_alloc);
  dvae_decoder_close(decoder);
}
