/// The parameters that Cleanup and Harvest share.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ascore/env.hpp"
#include "ascore/envs/gridmap.hpp"
#include "ascore/envs/gridworld/agents.hpp"

namespace ascore::grid {

enum class Profile : std::uint8_t { kSsd, kFeatures };
enum class Frame : std::uint8_t { kProfile, kEgo, kAbs };
enum class ObsMode : std::uint8_t { kPlanes, kRgb, kLocal, kFeatures, kCentred, kCentredTurned };
enum class Start : std::uint8_t { kRandom, kFixed };
enum class Graph : std::uint8_t { kComplete, kRadius };
enum class Metric : std::uint8_t { kChebyshev, kManhattan };

/// The parameters both environments have; a template, so that each keeps a plain `Params`.
template <class Params, class Row>
void visit_shared(Params& p, std::string_view maps, Row&& row) {
  row("num_agents", p.num_agents, Range{1, kMaxCells}, "agents; the map needs a P for each",
      "assumption; the paper is silent");
  row("map", p.map, Text{maps}, "the map: a name, or its rows with line breaks between them",
      "paper section 5.1 gives the size; which rows of the published map is an assumption");
  row("profile", p.profile, one_of("ssd", "features"),
      "which published dynamics: those of the full-map environments, or the older ones of the "
      "hand-made features",
      "Christoffersen et al. 2023, code");
  row("move_frame", p.move_frame, one_of("profile", "ego", "abs"),
      "whether moves are relative to where an agent faces or to the map; profile: ego in ssd, abs "
      "in features",
      "Christoffersen et al. 2023, code");
  row("horizon", p.horizon, Range{1, 1'000'000'000}, "steps until an episode is truncated",
      "paper section 5.1");
  row("turns", p.turns, Either{}, "whether agents can turn; if not, they have no such actions",
      "Hughes et al. 2018, code (true); Yang et al. 2020, code (false)");
  row("start", p.start, one_of("random", "fixed"),
      "where agents start: on any P and facing anywhere, or on the last P, the last but one and so "
      "on, facing up",
      "Hughes et al. 2018, code (random); Yang et al. 2020, code (fixed)");
  row("obs_mode", p.obs_mode,
      one_of("planes", "rgb", "local", "features", "centred", "centred_turned"),
      "what is observed: one plane of bits per kind of thing; the coloured map; per agent a "
      "15 x 15 window that turns with it; per agent a few numbers; per agent planes of the whole "
      "map with the agent in the middle, or the same turned so that it faces up",
      "assumption; the paper says full state");
  row("append_orientation", p.append_orientation, Either{},
      "whether rgb is followed by every agent's orientation, which colours do not show, and planes "
      "around an agent by its own",
      "assumption");
  row("graph", p.graph, one_of("complete", "radius"),
      "who hears whom: everybody, or whoever is within neigh_radius",
      "assumption; the paper is silent");
  row("neigh_radius", p.neigh_radius, Range{0, 2 * GridMap::kMaxSide},
      "cells within which agents hear each other if graph = radius", "assumption");
  row("neigh_metric", p.neigh_metric, one_of("cheb", "manhattan"),
      "distance for neigh_radius: Chebyshev or Manhattan", "assumption");
}

/// The parameters of the punishing beam.
template <class Params, class Row>
void visit_fire(Params& p, Row&& row) {
  constexpr Range kCost{0.0, 1e6};
  constexpr std::string_view kBeam = "Hughes et al. 2018, code";
  row("fire", p.fire, Either{}, "whether agents can fire a beam that costs whom it hits",
      "paper section 5.1 has none; Hughes et al. 2018");
  row("fire_cost", p.fire_cost, kCost, "what an agent pays for firing", kBeam);
  row("hit_cost", p.hit_cost, kCost, "what an agent pays for every beam that hits it", kBeam);
}

/// What goes together among the shared parameters.
template <class Params>
void check_shared(const Params& p, const GridMap& map) {
  if (p.append_orientation && p.obs_mode != ObsMode::kRgb && p.obs_mode != ObsMode::kCentred &&
      p.obs_mode != ObsMode::kCentredTurned) {
    throw std::invalid_argument(
        "append_orientation = true goes with obs_mode = \"rgb\", \"centred\" and "
        "\"centred_turned\" only");
  }
  if (map.count('P') < p.num_agents) {
    throw std::invalid_argument("num_agents = " + std::to_string(p.num_agents) +
                                " needs as many cells 'P' to start from; map " + map.given_name() +
                                " has " + std::to_string(map.count('P')));
  }
}

}  // namespace ascore::grid
