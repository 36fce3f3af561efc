// What the fuzzers hold the library to, and how they read their input.
#pragma once

#include <digitvae/digitvae.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

// The fuzzer keeps the input that led here.
#define HOLDS(condition)                                                                                  \
  do {                                                                                                    \
    if (!(condition)) {                                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s (last error: %s)\n", __FILE__, __LINE__, #condition, \
                   dvae_last_error());                                                                    \
      std::abort();                                                                                       \
    }                                                                                                     \
  } while (false)

// A failure has one of the documented statuses and a message; a defect of ours is never among them.
inline void require_documented(dvae_status status) {
  HOLDS(status >= DVAE_OK && status < DVAE_INTERNAL_ERROR);
  HOLDS(status == DVAE_OK || *dvae_last_error() != '\0');
}

inline bool is_pixel(float intensity) { return intensity >= 0 && intensity <= 1; }  // NaN is none
inline bool is_pixel(std::uint8_t) { return true; }

// An output buffer of exactly `size` values, so that AddressSanitizer sees one byte too many, and a
// pattern in it, so that a write that should not be shows.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t size) : size_(size), values_(new T[size]) { std::memset(values_.get(), kFill, bytes()); }

  T* data() const { return values_.get(); }
  std::size_t bytes() const { return size_ * sizeof(T); }

  // A result takes `written` bytes and no other. A bad argument leaves them alone too; work that failed
  // leaves zeros, or, if it had not begun, what was there.
  void require_whole_or_nothing(dvae_status status, std::size_t written) const {
    const std::size_t size = std::min(written, bytes());
    HOLDS(holds_only(kFill, size, bytes()));
    HOLDS(status == DVAE_OK || holds_only(kFill, 0, size) ||
          (status != DVAE_INVALID_ARGUMENT && holds_only(0, 0, size)));
  }

 private:
  static constexpr unsigned char kFill = 0xA5;

  bool holds_only(unsigned char byte, std::size_t begin, std::size_t end) const {
    const auto* const memory = reinterpret_cast<const unsigned char*>(values_.get());
    return std::all_of(memory + begin, memory + end, [byte](unsigned char value) { return value == byte; });
  }

  std::size_t size_;
  std::unique_ptr<T[]> values_;
};

// Numbers from the bytes of the input; zeros once they are used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

  template <typename T>
  T take() {
    T value{};
    const std::size_t bytes = std::min(sizeof value, static_cast<std::size_t>(end_ - next_));
    if (bytes != 0) std::memcpy(&value, next_, bytes);
    next_ += bytes;
    return value;
  }

  // One in about `n` times.
  bool one_in(std::uint8_t n) { return take<std::uint8_t>() % n == n - 1; }

  bool empty() const { return next_ == end_; }

 private:
  const std::uint8_t* next_;
  const std::uint8_t* end_;
};

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
