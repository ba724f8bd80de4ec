/// Agents on a grid: where they are, which way they face and what they can do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ascore/env.hpp"

namespace ascore::grid {

enum Direction : std::uint8_t { kUp, kRight, kDown, kLeft };

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

inline constexpr std::array<std::string_view, 8> kActionNames{
    "left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "clean"};

/// Where every agent is and which way it faces; entries from num_agents on are unused and zero.
struct Agents {
  std::array<std::uint16_t, kMaxAgents> cell;
  std::array<std::uint8_t, kMaxAgents> orientation;
};

using Cells = std::array<std::uint16_t, kMaxAgents>;

}  // namespace ascore::grid
