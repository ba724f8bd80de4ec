/// Growth: random events of small probability on many sites.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "ascore/envs/gridworld/bytes.hpp"
#include "ascore/envs/gridworld/sites.hpp"
#include "ascore/rng.hpp"

namespace ascore::grid {

/// Random events of small probability on many sites. A byte decides whether a site comes into
/// question at all, at `top`, the greatest probability any site has, rounded up; only those few
/// draw a number of their own. A word for every site would take most of the time of a step.
class Screen {
 public:
  explicit Screen(double top = 0) noexcept
      : limit_(static_cast<unsigned>(std::ceil(top * 256.0))),
        half_(limit_ <= 128 ? limit_ * Bytes::kOnes : (limit_ - 128) * Bytes::kOnes) {}

  /// What a site of probability `chance` <= top has to stay below once it is through.
  double threshold(double chance) const noexcept {
    return limit_ == 0 ? 0.0 : chance * 256.0 / limit_;
  }

  /// Calls `grow(site, number)`, number uniform in [0, 1), for every site of `set` that gets
  /// through, in order. `words` covers the set. Eight sites share a word, the lowest byte first.
  template <class Grow>
  void draw(Rng& rng, const SiteSet& set, std::size_t words, Grow&& grow) const noexcept {
    if (limit_ == 0) return;
    const std::size_t size = set.size(words);
    std::array<std::uint16_t, kMaxSites> through;  // how many sites of the set precede
    std::size_t count = 0;
    std::size_t first = 0;
    do {  // a block of words at a time: how many of them are wanted cannot be predicted
      const auto& block = rng.block();
      std::uint64_t low = 0;  // bit k: the site with rank first + k gets through
      for (std::size_t k = 0; k < block.size(); k += 2) {
        low |= below_limit(block[k], block[k + 1]) << 8 * k;
      }
      low >>= 8 * rng.used();
      const std::size_t here = std::min(size - first, 8 * (block.size() - rng.used()));
      low &= (std::uint64_t{1} << here) - 1;
      rng.discard((here + 7) / 8);
      for (; low != 0; low &= low - 1) {
        const std::size_t k = static_cast<std::size_t>(std::countr_zero(low));
        through[count++] = static_cast<std::uint16_t>(first + k);
      }
      first += here;
    } while (first < size);
    for (std::size_t k = 0; k < count; ++k) grow(set.nth(through[k]), rng.u01());
  }

 private:
  /// Bit k says whether byte k is below the limit: eight comparisons in one word, by subtracting
  /// from bytes whose top bit is set, so that none borrows from the next.
  std::uint64_t below_limit(std::uint64_t bytes) const noexcept {
    const std::uint64_t rest = (bytes | Bytes::kTops) - half_;
    const std::uint64_t not_below = limit_ <= 128 ? bytes | rest : bytes & rest;
    constexpr std::uint64_t kGather = 0x0102040810204080;  // top bits side by side
    return (~not_below >> 7 & Bytes::kOnes) * kGather >> 56;
  }

  /// The same of two words.
  std::uint64_t below_limit(std::uint64_t first, std::uint64_t second) const noexcept {
#ifdef __SSE2__
    // Read as two words: they were just written so, and one load of both would wait for memory.
    const __m128i bytes =
        _mm_set_epi64x(static_cast<std::int64_t>(second), static_cast<std::int64_t>(first));
    const __m128i most = _mm_set1_epi8(static_cast<char>(limit_ - 1));
    const __m128i below = _mm_cmpeq_epi8(_mm_min_epu8(bytes, most), bytes);
    return static_cast<std::uint64_t>(_mm_movemask_epi8(below));
#else
    return below_limit(first) | below_limit(second) << 8;
#endif
  }

  unsigned limit_;
  std::uint64_t half_;  ///< in every byte, the limit, or by how much it is beyond 128
};

}  // namespace ascore::grid
