// The processor's floating-point arithmetic as every thread begins with it.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace digitvae {

// A program may have its threads round upwards, take subnormal numbers for zero, or trap. Bits that are the same on all
// threads and in all programs need the default: rounding to nearest, subnormal numbers, no traps. As long as one of
// these lives, this thread computes so.
class DefaultArithmetic {
 public:
#if defined(__x86_64__)
  // <cfenv> would also read and write the state of the x87, which takes microseconds, and which nothing here uses.
  DefaultArithmetic() : callers_(_mm_getcsr()) {
    if (differs()) _mm_setcsr(kDefault);
  }
  ~DefaultArithmetic() { give_back(); }
#else
  DefaultArithmetic() { take(); }
  ~DefaultArithmetic() { give_back(); }
#endif
  DefaultArithmetic(const DefaultArithmetic&) = delete;
  DefaultArithmetic& operator=(const DefaultArithmetic&) = delete;

  // The caller's again, for a callback of his.
  class Suspended {
   public:
    explicit Suspended(DefaultArithmetic& suspended) : suspended_(suspended) { suspended_.give_back(); }
    ~Suspended() { suspended_.take(); }
    Suspended(const Suspended&) = delete;
    Suspended& operator=(const Suspended&) = delete;

   private:
    DefaultArithmetic& suspended_;
  };

 private:
#if defined(__x86_64__)
  static constexpr unsigned kDefault = 0x1F80;
  static constexpr unsigned kFlags = 0x3F;  // what has happened, which changes no result

  bool differs() const { return (callers_ & ~kFlags) != kDefault; }
  void take() {
    callers_ = _mm_getcsr();
    if (differs()) _mm_setcsr(kDefault);
  }
  void give_back() {
    if (differs()) _mm_setcsr(callers_);
  }

  unsigned callers_;
#else
  void take() {
    std::fegetenv(&callers_);
    std::fesetenv(FE_DFL_ENV);
  }
  void give_back() { std::fesetenv(&callers_); }

  std::fenv_t callers_;
#endif
};

}  // namespace digitvae
