/// What happens when agents get in each other's way: who may go where it wants to.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "ascore/env.hpp"
#include "ascore/envs/gridworld/agents.hpp"
#include "ascore/rng.hpp"

namespace ascore::grid {

// ---- profile ssd: nobody ends on the cell of another -----------------------------------------

/// Whether the occupant of the cell that i wants wants the cell of i.
inline bool exchanged(std::size_t n, const std::uint16_t* from, const Cells<kMaxAgents>& wish,
                      std::size_t i) noexcept {
  for (std::size_t j = 0; j < n; ++j) {
    if (j != i && wish[i] == from[j] && wish[j] == from[i]) return true;
  }
  return false;
}

/// Wishes, with staying in the place of those that cannot be had. No two agents end on one cell.
/// `rng` is where the random order is drawn from.
[[gnu::noinline]] inline Cells<kMaxAgents> contend(std::size_t n, Rng rng,
                                                   const std::uint16_t* from,
                                                   const Cells<kMaxAgents>& wish) noexcept {
  Cells<kMaxAgents> target = wish;

  std::array<std::uint8_t, kMaxAgents> order;
  std::array<std::uint8_t, kMaxAgents> rank;
  rng.perm(std::span(order.data(), n));
  for (std::size_t k = 0; k < n; ++k) rank[order[k]] = static_cast<std::uint8_t>(k);

  // Of several that want a cell only the first in the random order may have it, and none if its
  // occupant stays or wants the cell of one of them.
  for (std::size_t i = 0; i < n; ++i) {
    if (wish[i] == from[i]) continue;
    bool refused = false;
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i || wish[j] != wish[i]) continue;
      refused |= wish[j] == from[j] || rank[j] < rank[i];
      refused |= exchanged(n, from, wish, j);
    }
    if (refused || exchanged(n, from, wish, i)) target[i] = from[i];
  }
  // Whoever stays blocks those that wanted its cell, and so on.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < n; ++i) {
      if (target[i] == from[i]) continue;
      for (std::size_t j = 0; j < n; ++j) {
        if (j != i && target[i] == from[j] && target[j] == from[j]) {
          target[i] = from[i];
          changed = true;
          break;
        }
      }
    }
  }
  return target;
}

/// The same among a crowd, whose wishes `target` holds and then what becomes of them: instead of
/// all pairs it looks at who stands on a cell and who wants it. Draws nothing if all wishes can be
/// granted.
[[gnu::noinline]] inline void contend(Crowd n, Rng rng, const std::uint16_t* from,
                                      Cells<kMaxCells>& target) noexcept {
  constexpr std::uint16_t kNobody = 0xFFFF;
  // By cell, and set only for cells on which agents are or want to be.
  Cells<kMaxCells> occupant;
  Cells<kMaxCells> first;              // of those that want it, in the random order
  std::array<bool, kMaxCells> denied;  // nobody may come here
  for (std::size_t i = 0; i < n; ++i) occupant[target[i]] = first[target[i]] = kNobody;
  for (std::size_t i = 0; i < n; ++i) {
    first[from[i]] = kNobody;
    occupant[from[i]] = static_cast<std::uint16_t>(i);
  }
  const auto exchanged = [&](std::size_t i) {
    const std::uint16_t other = occupant[target[i]];
    return other != kNobody && other != i && target[other] == from[i];
  };
  bool clash = false;
  for (std::size_t i = 0; i < n; ++i) {
    clash |= first[target[i]] != kNobody || exchanged(i);
    first[target[i]] = static_cast<std::uint16_t>(i);
  }
  if (!clash) return;

  Cells<kMaxCells> order;
  rng.perm(std::span(order.data(), n));
  for (std::size_t i = 0; i < n; ++i) {
    first[target[i]] = kNobody;
    denied[target[i]] = false;
  }
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t i = order[k];
    if (first[target[i]] == kNobody) first[target[i]] = order[k];
    denied[target[i]] |= target[i] == from[i] || exchanged(i);
  }
  std::size_t staying = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (first[target[i]] != i || denied[target[i]]) target[i] = from[i];
    if (target[i] == from[i]) order[staying++] = static_cast<std::uint16_t>(i);
  }
  // Whoever stays blocks the one that wanted its cell, and so on.
  while (staying > 0) {
    const std::uint16_t cell = from[order[--staying]];
    const std::uint16_t other = first[cell];
    if (other == kNobody || target[other] != cell || from[other] == cell) continue;
    target[other] = from[other];
    order[staying++] = other;
  }
}

/// Whether `contend` would grant every wish: all targets differ, and no two agents want each
/// other's cells.
template <class Count>
bool unhindered(Count n, const std::uint16_t* from, const Cells<kMaxAgents>& target) noexcept {
  // Eight at a time: compilers do not find this by themselves. It looks at all pairs, without
  // leaving early, since who meets whom cannot be predicted.
  constexpr std::size_t kLanes = 8;
  static_assert(kMaxAgents % kLanes == 0);
  using Lanes [[gnu::vector_size(kLanes * sizeof(std::int16_t))]] = std::int16_t;
  constexpr Lanes kNumbers{0, 1, 2, 3, 4, 5, 6, 7};
  Lanes clash{};
  for (std::size_t first = 0; first < n; first += kLanes) {
    Lanes at{};
    Lanes to{};
    for (std::size_t k = 0; k < kLanes; ++k) {
      at[k] = static_cast<std::int16_t>(first + k < n ? from[first + k] : 0);
      to[k] = static_cast<std::int16_t>(first + k < n ? target[first + k] : 0);
    }
    const Lanes agent = kNumbers + static_cast<std::int16_t>(first);
    for (std::size_t i = first + 1; i < n; ++i) {
      const auto here = static_cast<std::int16_t>(from[i]);
      const auto there = static_cast<std::int16_t>(target[i]);
      const Lanes earlier = agent < static_cast<std::int16_t>(i);
      clash |= earlier & ((to == there) | ((at == there) & (to == here)));
    }
  }
  std::array<std::uint64_t, sizeof(Lanes) / sizeof(std::uint64_t)> any;
  std::memcpy(&any, &clash, sizeof(clash));
  return (any[0] | any[1]) == 0;
}

/// The same for few agents, whose number is a constant, with all cells of a kind in one register.
struct FewAgents {
  // Eight cells in a vector or in two words, the first in the lowest bits.
  using Lanes [[gnu::vector_size(16)]] = std::int16_t;
  using Words [[gnu::vector_size(16)]] = std::uint64_t;
  using Packed = std::array<std::uint64_t, 2>;
  static constexpr std::size_t kLanes = 8;

  /// Whether a number of agents is a constant and has room in Lanes.
  template <class Count>
  static constexpr bool are() noexcept {
    if constexpr (requires { Count::value; }) {
      return Count::value <= kLanes && std::endian::native == std::endian::little;
    }
    return false;
  }

  /// `unhindered`: lanes are compared with those 1, 2, ... further on.
  template <class Count>
  static bool unhindered(Count, const std::uint16_t* from, const Packed& target) noexcept {
    // Cells count from 1 here, since zeros are shifted in; lanes without agent equal no other.
    constexpr auto offset = [](std::size_t lane) {
      return static_cast<std::int16_t>(lane < Count::value ? 1 : 0x7000 + lane);
    };
    constexpr Lanes kOffset{offset(0), offset(1), offset(2), offset(3),
                            offset(4), offset(5), offset(6), offset(7)};
    Lanes at;
    std::memcpy(&at, from, sizeof(at));
    at += kOffset;
    const Lanes to = reinterpret_cast<Lanes>(Words{target[0], target[1]}) + kOffset;
    Lanes clash{};
    const auto compare = [&](const Lanes& other_at, const Lanes& other_to) {
      clash |= (to == other_to) | ((at == other_to) & (to == other_at));
    };
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      (compare(further<k + 1>(at), further<k + 1>(to)), ...);
    }(std::make_index_sequence<Count::value - 1>{});
    const Words any = reinterpret_cast<Words>(clash);
    return (any[0] | any[1]) == 0;
  }

 private:
  /// Lane k holds lane k + kBy; the last ones zeros.
  template <std::size_t kBy>
  static Lanes further(const Lanes& x) noexcept {
    constexpr auto from = [](std::size_t lane) {
      return static_cast<std::int16_t>(lane + kBy < kLanes ? lane + kBy : kLanes);
    };
#ifdef __clang__
    return __builtin_shufflevector(x, Lanes{}, from(0), from(1), from(2), from(3), from(4), from(5),
                                   from(6), from(7));
#else  // GCC has the other one from version 12 on only
    return __builtin_shuffle(
        x, Lanes{}, Lanes{from(0), from(1), from(2), from(3), from(4), from(5), from(6), from(7)});
#endif
  }
};

// ---- profile features ------------------------------------------------------------------------

/// Agents that stay claim their cells, then movers claim theirs by index. The cells of all others
/// are not protected.
template <std::size_t kSize>
void claim(std::size_t n, std::span<const std::int32_t> action, const Cells<kSize>& target,
           std::uint16_t* at) noexcept {
  if constexpr (kSize > kMaxAgents) {
    std::array<bool, kMaxCells> taken{};  // by cell
    for (std::size_t i = 0; i < n; ++i) taken[at[i]] |= action[i] == kStay;
    for (std::size_t i = 0; i < n; ++i) {
      if (target[i] == at[i] || taken[target[i]]) continue;
      taken[target[i]] = true;
      at[i] = target[i];
    }
    return;
  }
  Cells<kSize> claimed;
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (action[i] == kStay) claimed[count++] = at[i];
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (target[i] == at[i]) continue;
    const auto end = claimed.begin() + static_cast<std::ptrdiff_t>(count);
    if (std::find(claimed.begin(), end, target[i]) != end) continue;
    claimed[count++] = target[i];
    at[i] = target[i];
  }
}

}  // namespace ascore::grid
