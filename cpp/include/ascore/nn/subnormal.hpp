/// Subnormal numbers.
#pragma once

#if defined(__SSE__) || defined(_M_X64)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace ascore::nn {

/// As long as one lives, this thread takes numbers below 1.2e-38 for zeros.
///
/// Policies that are all but certain have probabilities and gradients of that size, and Adam's
/// moments fade towards it. They move no parameter, and processors take a hundred cycles for each:
/// without this an update of such policies lasts twice as long.
class FlushSubnormals {
 public:
#if defined(__SSE__) || defined(_M_X64)
  FlushSubnormals() noexcept : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlush); }
  ~FlushSubnormals() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  FlushSubnormals() noexcept {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | kFlush));
  }
  ~FlushSubnormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }
#else
  FlushSubnormals() noexcept {}
  ~FlushSubnormals() {}
#endif
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__SSE__) || defined(_M_X64)
  static constexpr unsigned kFlush = 0x8040;  ///< results (FTZ) and operands (DAZ)
  unsigned before_;
#elif defined(__aarch64__)
  static constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;  ///< FZ
  std::uint64_t before_ = 0;
#endif
};

}  // namespace ascore::nn
