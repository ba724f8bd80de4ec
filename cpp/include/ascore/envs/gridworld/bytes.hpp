/// Arithmetic on eight bytes side by side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ascore/compiler.hpp"

namespace ascore::grid {

/// Eight numbers below 128 in the bytes of a word. Neither branches, since what they would depend
/// on cannot be predicted, nor std::popcount, which is a call unless it is built for one kind of
/// processor.
struct Bytes {
  static constexpr std::uint64_t kOnes = 0x0101010101010101;
  static constexpr std::uint64_t kTops = 0x80 * kOnes;

  /// Byte k: how many bits of `x` are set in byte k and below.
  static constexpr std::uint64_t running_counts(std::uint64_t x) noexcept {
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    return ((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F) * kOnes;
  }

  /// How many bytes are at most `limit`.
  static constexpr std::size_t at_most(std::uint64_t limit, std::uint64_t bytes) noexcept {
    return ((((limit * kOnes | kTops) - bytes) & kTops) >> 7) * kOnes >> 56;
  }
};

}  // namespace ascore::grid
