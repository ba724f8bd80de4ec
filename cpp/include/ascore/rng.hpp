/// @file
/// Philox4x64-10, the counter-based generator behind every random number of ascore.
///
/// A stream is named by (seed, environment, episode, step, domain) and by nothing else, so results
/// depend neither on the thread count nor on the batch size, and `numpy.random.Philox` draws the
/// same numbers. Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as
/// 1, 2, 3".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <utility>

#include "ascore/compiler.hpp"

namespace ascore {

/// What a stream is used for; streams of different domains never share a number.
enum class Domain : std::uint64_t {
  kDynamics = 0,  ///< resets (step word 0) and the transition t -> t+1 (step word t+1)
  kAction = 1,    ///< action sampling in the state after t steps (step word t)
};

/// One stream of 64-bit words. A block of four words is computed when its first word is asked for.
///
/// Equal to `numpy.random.Philox(key=[seed, env], counter=[0, step, episode, domain])`, whose first
/// block is the one of counter [1, step, episode, domain].
class Rng {
 public:
  /// The stream of an environment, episode and step for one purpose, from its beginning.
  Rng(std::uint64_t seed, std::uint64_t env, std::uint64_t episode, std::uint64_t step,
      Domain domain) noexcept
      : key_{seed, env}, counter_{0, step, episode, static_cast<std::uint64_t>(domain)} {}

  /// The stream of the same name in another episode, from its beginning: for what an environment
  /// keeps over its episodes without remembering it.
  Rng of_episode(std::uint64_t episode) const noexcept {
    return {key_[0], key_[1], episode, counter_[1], static_cast<Domain>(counter_[3])};
  }

  /// The next 64 bits.
  std::uint64_t next() noexcept {
    if (used_ == words_.size()) refill();
    return words_[used_++];
  }

  /// The block that the next word is in, without passing over it, for whoever reads several at
  /// once or wants it computed ahead of time. The first `used()` of its words have been drawn.
  const std::array<std::uint64_t, 4>& block() noexcept {
    if (used_ == words_.size()) refill();
    return words_;
  }

  /// How many words of the block have been drawn, 0 to 4.
  std::size_t used() const noexcept { return used_; }

  /// Uniform on [0, 1), a multiple of 2^-53.
  double u01() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// Uniform on [0, 1), a multiple of 2^-24: the same draw rounded down to single precision.
  float u01_single() noexcept { return static_cast<float>(next() >> 40) * 0x1.0p-24F; }

  /// Uniform on {0, ..., n-1}: the high half of a 128-bit product. There is no rejection, because
  /// the number of draws must not depend on the numbers drawn; the bias is below n / 2^64.
  std::uint64_t below(std::uint64_t n) noexcept { return multiply(next(), n).high; }

  /// Passes over `count` words without computing those of whole blocks.
  void discard(std::size_t count) noexcept {
    if (count <= kWords - used_) {
      used_ += count;
    } else {
      seek(drawn() + count);
    }
  }

  /// The same stream `count` words ago.
  Rng ago(std::size_t count) const noexcept {
    Rng earlier = *this;
    earlier.seek(drawn() - count);
    return earlier;
  }

  /// Fills `out` with a uniform permutation of 0..n-1 (Fisher-Yates, descending), n-1 draws.
  template <std::ranges::random_access_range Out>
  void perm(Out&& out) noexcept {
    using T = std::ranges::range_value_t<Out>;
    const std::size_t n = std::ranges::size(out);
    for (std::size_t k = 0; k < n; ++k) out[k] = static_cast<T>(k);
    for (std::size_t k = n; k-- > 1;) std::swap(out[k], out[below(k + 1)]);
  }

  /// Brings `count` uniformly drawn elements of `list` to its front, in order: a Fisher-Yates
  /// shuffle stopped after `count` draws. Needs count <= size(list).
  template <std::ranges::random_access_range List>
  void choose(List&& list, std::size_t count) noexcept {
    const std::size_t n = std::ranges::size(list);
    for (std::size_t d = 0; d < count; ++d) std::swap(list[d], list[d + below(n - d)]);
  }

 private:
  struct Product {
    std::uint64_t high, low;
  };

  static Product multiply(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
  }

  static constexpr std::size_t kWords = 4;
  using Block = std::array<std::uint64_t, kWords>;

  /// Words drawn so far.
  std::uint64_t drawn() const noexcept { return kWords * counter_[0] - (kWords - used_); }

  /// Goes to where so many words have been drawn.
  void seek(std::uint64_t drawn) noexcept {
    counter_[0] = drawn / kWords;
    used_ = kWords;
    if (drawn % kWords != 0) {
      refill();
      used_ = drawn % kWords;
    }
  }

  /// Never inlined: it is long, and called from many places, most of them rarely.
  [[gnu::noinline]] void refill() noexcept {
    ++counter_[0];  // before use, as NumPy does; a stream never gets near 2^64 blocks
    auto [c0, c1, c2, c3] = counter_;  // in variables of their own, which stay in registers
    auto [k0, k1] = key_;
    for (int round = 0; round < kRounds; ++round) {
      const Product p0 = multiply(kMultiplier0, c0);
      const Product p1 = multiply(kMultiplier1, c2);
      c0 = p1.high ^ c1 ^ k0;
      c1 = p1.low;
      c2 = p0.high ^ c3 ^ k1;
      c3 = p0.low;
      k0 += kWeyl0;
      k1 += kWeyl1;
    }
    // In place, since copying a block in vectors has to wait for the stores of its words.
    words_[0] = c0;
    words_[1] = c1;
    words_[2] = c2;
    words_[3] = c3;
    used_ = 0;
  }

  // Salmon et al. 2011, table 2 (Philox4x64) and section 3.3 (Weyl increments).
  static constexpr int kRounds = 10;
  static constexpr std::uint64_t kMultiplier0 = 0xD2E7470EE14C6C93;
  static constexpr std::uint64_t kMultiplier1 = 0xCA5A826395121157;
  static constexpr std::uint64_t kWeyl0 = 0x9E3779B97F4A7C15;
  static constexpr std::uint64_t kWeyl1 = 0xBB67AE8584CAA73B;

  std::array<std::uint64_t, 2> key_;
  Block counter_;
  Block words_{};
  std::size_t used_ = kWords;
};

}  // namespace ascore
