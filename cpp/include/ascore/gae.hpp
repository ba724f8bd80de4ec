/// @file
/// Generalised advantage estimates over whole rows of [T, B, N] arrays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

#include "ascore/env.hpp"

namespace ascore {

/// T steps of B environments with N agents each; every array is C-contiguous.
struct GaeShape {
  std::size_t steps;   ///< T
  std::size_t envs;    ///< B
  std::size_t agents;  ///< N
};

/// What was collected. `final_value` is read at truncated rows only; empty means zero.
struct GaeInput {
  std::span<const float> reward;             ///< [T, B, N]
  std::span<const float> value;              ///< [T+1, B, N]
  std::span<const std::uint8_t> terminated;  ///< [T, B]
  std::span<const std::uint8_t> truncated;   ///< [T, B]
  std::span<const float> final_value;        ///< [T, B, N]: value of the state a time limit cut off
};

namespace detail {

// As many numbers as fit into a vector of the processor.
using Floats4 [[gnu::vector_size(16)]] = float;
using Floats8 [[gnu::vector_size(32)]] = float;
using Floats16 [[gnu::vector_size(64)]] = float;

/// What a loop that goes downwards will read next; it may lie in front of the array.
[[gnu::always_inline]] inline void prefetch_before(const float* at) noexcept {
  constexpr std::uintptr_t kAhead = 2048;  // bytes; twice and half of it are as good
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at) - kAhead));
}

/// One row as if no episode ended in it: next and carry are the values and advantages of t + 1.
///
/// It goes from the end to the beginning, as the loop over rows does, so that every array is one
/// stream to read ahead in. Upwards, rows of a page each would be a new stream every time.
template <class Floats>
[[gnu::always_inline]] inline void gae_row(
    std::size_t width, float gamma, float decay, const float* __restrict reward,
    const float* __restrict value, const float* __restrict next, const float* __restrict carry,
    float* __restrict advantage, float* __restrict returns) noexcept {
  constexpr std::size_t kLanes = sizeof(Floats) / sizeof(float);
  const auto entry = [=](std::size_t m) {
    const float delta = (reward[m] + gamma * next[m]) - value[m];
    advantage[m] = delta + decay * carry[m];
    returns[m] = advantage[m] + value[m];
  };
  const auto entries = [=](std::size_t m) {  // the same of kLanes from m on
    Floats r, v, n, c;
    std::memcpy(&r, reward + m, sizeof(r));
    std::memcpy(&v, value + m, sizeof(v));
    std::memcpy(&n, next + m, sizeof(n));
    std::memcpy(&c, carry + m, sizeof(c));
    const Floats delta = (r + gamma * n) - v;
    const Floats a = delta + decay * c;
    const Floats g = a + v;
    std::memcpy(advantage + m, &a, sizeof(a));
    std::memcpy(returns + m, &g, sizeof(g));
  };
  if (width < kLanes) {
    for (std::size_t m = 0; m < width; ++m) entry(m);
    return;
  }
  // Arrays usually begin at the same place within a cache line, and not at its beginning. Vectors
  // that cross lines take a fifth longer, so only the first and the last do, and overlap others.
  const std::size_t past = reinterpret_cast<std::uintptr_t>(advantage) / sizeof(float) % kLanes;
  const std::size_t head = (kLanes - past) % kLanes;
  entries(width - kLanes);
  for (std::size_t m = head + (width - head) / kLanes * kLanes; m > head;) {
    m -= kLanes;
    if (m % 16 < kLanes) {  // once per cache line
      prefetch_before(reward + m);
      prefetch_before(value + m);
    }
    entries(m);
  }
  entries(0);
}

using GaeRow = void (*)(std::size_t, float, float, const float*, const float*, const float*,
                        const float*, float*, float*) noexcept;

inline void gae_row_portable(std::size_t width, float gamma, float decay, const float* reward,
                             const float* value, const float* next, const float* carry,
                             float* advantage, float* returns) noexcept {
  gae_row<Floats4>(width, gamma, decay, reward, value, next, carry, advantage, returns);
}

// The same code for wider vectors, chosen at run time. Nothing is contracted, so bits are the same.
// Not on Windows, where GCC keeps such vectors on a stack that is aligned for narrower ones.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
[[gnu::target("avx2")]] inline void gae_row_avx2(std::size_t width, float gamma, float decay,
                                                 const float* reward, const float* value,
                                                 const float* next, const float* carry,
                                                 float* advantage, float* returns) noexcept {
  gae_row<Floats8>(width, gamma, decay, reward, value, next, carry, advantage, returns);
}

[[gnu::target("avx512f")]] inline void gae_row_avx512(std::size_t width, float gamma, float decay,
                                                      const float* reward, const float* value,
                                                      const float* next, const float* carry,
                                                      float* advantage, float* returns) noexcept {
  gae_row<Floats16>(width, gamma, decay, reward, value, next, carry, advantage, returns);
}

inline GaeRow choose_gae_row() noexcept {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return gae_row_avx512;
  if (__builtin_cpu_supports("avx2")) return gae_row_avx2;
  return gae_row_portable;
}
#else
inline GaeRow choose_gae_row() noexcept { return gae_row_portable; }
#endif

/// The first environment from `b` on in which an episode ends, or how many there are.
inline std::size_t next_end(std::span<const std::uint8_t> terminated,
                            std::span<const std::uint8_t> truncated, std::size_t b) noexcept {
  constexpr std::size_t kTogether = sizeof(std::uint64_t);  // ends are rare
  const std::size_t envs = terminated.size();
  for (; b + kTogether <= envs; b += kTogether) {
    std::uint64_t first = 0, second = 0;
    std::memcpy(&first, terminated.data() + b, kTogether);
    std::memcpy(&second, truncated.data() + b, kTogether);
    if ((first | second) != 0) break;
  }
  while (b < envs && (terminated[b] | truncated[b]) == 0) ++b;
  return b;
}

/// Throws unless 0 <= value <= 1; NaN is not.
inline void require_fraction(const char* name, double value) {
  if (!(value >= 0 && value <= 1)) {
    throw std::invalid_argument(std::string(name) + " = " + to_text(value) + " is outside 0..1");
  }
}

inline void require_size(const char* name, std::size_t got, std::size_t wanted) {
  if (got != wanted) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(got) +
                                " entries, want " + std::to_string(wanted));
  }
}

}  // namespace detail

/// Writes advantage and returns, f32 [T, B, N], which must not overlap anything else.
///
///     delta_t = r_t + gamma * v' - v_t      A_t = delta_t + gamma * lambda * A_{t+1}
///     returns_t = A_t + v_t
///
/// v' is value[t+1]; at a termination 0 and at a truncation final_value[t], both with
/// A_{t+1} = 0, as the row below belongs to another episode. Termination wins over truncation.
///
/// Throws std::invalid_argument when a size does not fit the shape or gamma or lambda is outside
/// [0, 1]. Source: Schulman et al. 2016, equations 11 to 16.
inline void gae(const GaeShape& shape, const GaeInput& in, double gamma, double lambda,
                std::span<float> advantage, std::span<float> returns) {
  const std::size_t width = shape.envs * shape.agents;
  const std::size_t total = shape.steps * width;
  detail::require_size("reward", in.reward.size(), total);
  detail::require_size("value", in.value.size(), total + width);
  detail::require_size("terminated", in.terminated.size(), shape.steps * shape.envs);
  detail::require_size("truncated", in.truncated.size(), shape.steps * shape.envs);
  if (!in.final_value.empty()) detail::require_size("final_value", in.final_value.size(), total);
  detail::require_size("advantage", advantage.size(), total);
  detail::require_size("returns", returns.size(), total);
  detail::require_fraction("gamma", gamma);
  detail::require_fraction("gae_lambda", lambda);

  static const detail::GaeRow compute_row = detail::choose_gae_row();
  const float discount = static_cast<float>(gamma);
  const float decay = static_cast<float>(gamma * lambda);
  for (std::size_t t = shape.steps; t-- > 0;) {
    const std::size_t row = t * width;
    const bool last = t + 1 == shape.steps;
    if (!last) {
      // Pointers, not references to elements: without environments a row has none.
      compute_row(width, discount, decay, in.reward.data() + row, in.value.data() + row,
                  in.value.data() + row + width, advantage.data() + row + width,
                  advantage.data() + row, returns.data() + row);
    }
    const auto terminated = in.terminated.subspan(t * shape.envs, shape.envs);
    const auto truncated = in.truncated.subspan(t * shape.envs, shape.envs);
    // The carry stops at an episode's end and at the last row: write those entries anew.
    for (std::size_t b = 0; b < shape.envs; ++b) {
      if (!last) b = detail::next_end(terminated, truncated, b);
      if (b == shape.envs) break;
      const std::size_t first = row + b * shape.agents;
      const auto close = [&](auto&& next) {
        for (std::size_t at = first; at < first + shape.agents; ++at) {
          const float delta = (in.reward[at] + discount * next(at)) - in.value[at];
          advantage[at] = delta + decay * 0.0F;
          returns[at] = advantage[at] + in.value[at];
        }
      };
      if (terminated[b] != 0 || (truncated[b] != 0 && in.final_value.empty())) {
        close([](std::size_t) { return 0.0F; });
      } else if (truncated[b] != 0) {
        close([&](std::size_t at) { return in.final_value[at]; });
      } else {
        close([&](std::size_t at) { return in.value[at + width]; });
      }
    }
  }
}

}  // namespace ascore
