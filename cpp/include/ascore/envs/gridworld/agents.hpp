/// Agents on a grid: where they are, which way they face and what they can do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "ascore/env.hpp"
#include "ascore/envs/gridmap.hpp"

namespace ascore::grid {

enum Direction : std::uint8_t { kUp, kRight, kDown, kLeft };

/// What agents do, in this order: beams come last, and agents that do not turn lack the two turns.
enum Action : std::int32_t {
  kMoveLeft,
  kMoveRight,
  kMoveUp,
  kMoveDown,
  kStay,
  kTurnClockwise,
  kTurnCounterclockwise,
  kClean,
};

/// Most actions that agents have.
inline constexpr std::size_t kMaxActions = 9;

/// The first action that is no move and no turn.
constexpr std::int32_t first_beam(bool turns) noexcept {
  return turns ? kTurnCounterclockwise + 1 : kStay + 1;
}

/// Names of the actions.
inline std::span<const std::string_view> action_names(bool turns, bool clean, bool fire) noexcept {
  using List = std::array<std::string_view, kMaxActions>;
  static constexpr List kTurning{
      "left",  "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise",
      "clean", "fire"};
  static constexpr List kStraight{"left", "right", "up", "down", "stay", "clean", "fire"};
  static constexpr List kTurningOnly{
      "left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "fire"};
  static constexpr List kStraightOnly{"left", "right", "up", "down", "stay", "fire"};
  const List& list = clean ? (turns ? kTurning : kStraight) : turns ? kTurningOnly : kStraightOnly;
  const auto beams = static_cast<std::size_t>(clean) + static_cast<std::size_t>(fire);
  return std::span(list).first(static_cast<std::size_t>(first_beam(turns)) + beams);
}

/// Where agents are and which way they face, wherever it is kept: what a step reads and writes.
struct Standing {
  std::uint16_t* cell;
  std::uint8_t* orientation;
};

/// Where every agent is and which way it faces; entries from num_agents on are unused and zero.
struct Agents {
  PerAgent<std::uint16_t> cell;
  PerAgent<std::uint8_t> orientation;

  Agents() = default;
  explicit Agents(std::size_t num_agents) : cell(num_agents), orientation(num_agents) {}

  /// Of any number of agents.
  Standing standing() noexcept { return {cell.all().data(), orientation.all().data()}; }

  /// Of at most kRoom agents; of few at places that compilers know.
  template <std::size_t kRoom>
  Standing standing() noexcept {
    if constexpr (kRoom <= kMaxAgents) return {cell.few(), orientation.few()};
    return standing();
  }

  /// See `Saved`.
  template <class Self, class Part>
  static void visit(Self& s, Part&& part) {
    part(s.cell.all());
    part(s.orientation.all());
  }
};

/// Cells of the largest map, and as many agents at most.
inline constexpr int kMaxCells = GridMap::kMaxSide * GridMap::kMaxSide;

/// More than kMaxAgents agents. Where functions take a number of agents, they compare all pairs of
/// few, and of a crowd they look at cells, which takes as long as there are agents.
struct Crowd {
  std::size_t size;
  constexpr operator std::size_t() const noexcept { return size; }
};

/// The same number, for code that need not be compiled for every number of few agents.
inline std::size_t any_of(std::size_t n) noexcept { return n; }
inline Crowd any_of(Crowd n) noexcept { return n; }

/// How many agents to have room for, by the type of their number.
template <class Count>
inline constexpr std::size_t kRoom = std::is_same_v<Count, Crowd> ? kMaxCells : kMaxAgents;

/// Cells of so many agents.
template <std::size_t kSize>
using Cells = std::array<std::uint16_t, kSize>;

}  // namespace ascore::grid
