/// What a grid world shows of itself to people and pictures: see `Inspectable`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/envs/gridworld/agents.hpp"
#include "ascore/envs/gridworld/ground.hpp"
#include "ascore/envs/gridworld/sites.hpp"

namespace ascore::grid {

/// A map of zeros and ones.
template <class Row>
void inspect(const Ground& ground, std::string_view name, const std::vector<std::uint8_t>& map,
             Row&& row) {
  const Shape shape{static_cast<std::size_t>(ground.height),
                    static_cast<std::size_t>(ground.width)};
  row(name, shape, std::span<const std::uint8_t>(map));
}

/// Ones where the map has this character.
template <class Row>
void inspect(const Ground& ground, std::string_view name, char kind, Row&& row) {
  std::vector<std::uint8_t> map(ground.cells);
  std::ranges::transform(ground.tile, map.begin(), [kind](char tile) { return tile == kind; });
  inspect(ground, name, map, row);
}

/// Ones on the sites of a set.
template <class Row>
void inspect(const Ground& ground, std::string_view name, const Sites& sites, const SiteSet& set,
             Row&& row) {
  std::vector<std::uint8_t> map(ground.cells);
  set.for_each(sites.words, [&](std::size_t site) { map[sites.cell[site]] = 1; });
  inspect(ground, name, map, row);
}

/// Agents as rows (row, column), their orientations, and the walls of the map.
template <class Row>
void inspect(const Ground& ground, const Agents& s, Row&& row) {
  std::vector<std::int32_t> places;
  for (const std::uint16_t cell : s.cell.all().first(ground.num_agents)) {
    places.push_back(ground.row(cell));
    places.push_back(ground.col(cell));
  }
  const auto orientation = s.orientation.all().first(ground.num_agents);
  const std::vector<std::int32_t> facing(orientation.begin(), orientation.end());
  row("agents", Shape{ground.num_agents, 2}, std::span<const std::int32_t>(places));
  row("orientation", Shape{ground.num_agents}, std::span<const std::int32_t>(facing));
  inspect(ground, "walls", '@', row);
}

}  // namespace ascore::grid
