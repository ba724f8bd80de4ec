/// The others that an agent observes where it observes the nearest only.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "ascore/compiler.hpp"

namespace ascore {

inline constexpr int kMostNearest = 64;

/// Refuses to look for more others than there are.
inline void check_nearest(int nearest, int num_agents) {
  if (nearest < num_agents) return;
  throw std::invalid_argument(
      "nearest = " + std::to_string(nearest) + " is more than the others there are; num_agents = " +
      std::to_string(num_agents) + " has " + std::to_string(num_agents - 1));
}

/// Agents in the order in which one observes them: the nearest first, of equally near ones the
/// lowest index. Agents are added at one distance after the other.
struct Nearest {
  std::array<std::uint32_t, kMostNearest> agent;
  std::size_t count = 0;

  /// Adds agents in the order of their indices to those from `from` on, which are as far away, of
  /// which the k - from of lowest index stay. `index(*it)` is the index of an agent.
  template <class Iterator, class Index>
  void add(Iterator first, Iterator last, std::size_t from, std::size_t k, Index&& index) noexcept {
    for (; first != last; ++first) {
      const std::uint32_t added = index(*first);
      std::size_t at = count;
      while (at > from && agent[at - 1] > added) --at;
      if (at == k) return;  // so do all further ones
      count = std::min(count + 1, k);
      for (std::size_t r = count - 1; r > at; --r) agent[r] = agent[r - 1];
      agent[at] = added;
    }
  }
};

}  // namespace ascore
