/// Memory in whole cache lines, so that threads that write to different things do not meet.
#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <vector>

#include "ascore/compiler.hpp"

namespace ascore {

inline constexpr std::size_t kCacheLine = 64;

/// Allocates whole lines. Two threads that each write to a line of which the other reads a part
/// hand it back and forth, which costs more than the step of a small environment.
template <class T>
struct CacheLines {
  using value_type = T;
  static_assert(alignof(T) <= kCacheLine);

  CacheLines() = default;
  template <class U>
  CacheLines(const CacheLines<U>&) noexcept {}

  T* allocate(std::size_t count) {
    if (count > (std::numeric_limits<std::size_t>::max() - kCacheLine) / sizeof(T)) {
      throw std::bad_array_new_length();
    }
    const std::size_t lines = (count * sizeof(T) + kCacheLine - 1) / kCacheLine;
    return static_cast<T*>(::operator new(lines * kCacheLine, std::align_val_t{kCacheLine}));
  }

  void deallocate(T* at, std::size_t) noexcept {
    ::operator delete(at, std::align_val_t{kCacheLine});
  }

  template <class U>
  bool operator==(const CacheLines<U>&) const noexcept {
    return true;
  }
};

/// A vector that shares its cache lines with nothing.
template <class T>
using LineVector = std::vector<T, CacheLines<T>>;

}  // namespace ascore
