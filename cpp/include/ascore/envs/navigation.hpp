/// Cooperative navigation: every agent walks to a landmark of its own and must not run into others.
///
/// Rules: "Learning to Cooperate under Private Rewards", section 5.1: rewards by proximity to one's
/// own landmark, -1 for a collision. What the paper leaves open is a parameter; the defaults follow
/// Zhang et al. 2018, "Fully decentralized multi-agent reinforcement learning with networked
/// agents", on the 5 x 5 grid that the paper names.
///
/// Draws: a reset takes num_agents words for the landmarks, then as many for the agents, whatever
/// the parameters; with landmarks = fixed the landmarks are those that the same stream of episode 0
/// begins with. A step takes num_agents - 1 words if block is set, else none.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct NavigationParams {
  enum class Distance : std::uint8_t { kL2, kL1 };
  enum class Landmarks : std::uint8_t { kPerEpisode, kFixed };
  enum class ObsOrder : std::uint8_t { kGlobal, kSelfFirst };
  enum class Metric : std::uint8_t { kChebyshev, kManhattan };

  static constexpr int kMaxSize = 32;

  int num_agents = 3;
  int size = 5;
  int horizon = 100;
  Distance metric = Distance::kL2;
  double dist_scale = 1;
  double collision = 1;
  bool block = false;
  Landmarks landmarks = Landmarks::kPerEpisode;
  ObsOrder obs_order = ObsOrder::kGlobal;
  int neigh_radius = 1;
  Metric neigh_metric = Metric::kChebyshev;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kPoints{0.0, 1e6};
    row("num_agents", p.num_agents, Range{1, kMaxAgents}, "agents, and as many landmarks",
        "paper section 5.1");
    row("size", p.size, Range{2, kMaxSize}, "cells along a side of the square grid",
        "paper section 5.1");
    row("horizon", p.horizon, Range{1, 1'000'000'000}, "steps until an episode is truncated",
        "paper section 5.1");
    row("metric", p.metric, one_of("l2", "l1"),
        "distance to the landmark, in cells: Euclidean or Manhattan",
        "assumption; the paper says proximity");
    row("dist_scale", p.dist_scale, kPoints,
        "reward points an agent loses per step and cell of distance to its landmark",
        "assumption; the paper says proximity");
    row("collision", p.collision, kPoints,
        "reward points an agent loses per step and other agent on its cell", "paper section 5.1");
    row("block", p.block, Either{},
        "whether a move into an occupied cell fails (in a random order drawn every step); else "
        "agents share cells",
        "assumption: no, a collision costs and does not stop; the paper is silent");
    row("landmarks", p.landmarks, one_of("per_episode", "fixed"),
        "whether an environment's landmarks are drawn anew for every episode, or stay where "
        "episode 0 of its seed has them",
        "assumption; the paper is silent");
    row("obs_order", p.obs_order, one_of("global", "self_first"),
        "what is observed: one view for all with agents, then landmarks; or a view per agent, with "
        "its own place and landmark, then those of the others",
        "assumption; the paper says full state");
    row("neigh_radius", p.neigh_radius, Range{0, 2 * kMaxSize},
        "cells within which agents hear each other",
        "assumption: adjacent; the paper says adjacent counterparts");
    row("neigh_metric", p.neigh_metric, one_of("cheb", "manhattan"),
        "distance for neigh_radius: Chebyshev or Manhattan", "assumption; the paper is silent");
  }

  void check() const {
    if (num_agents > size * size) {
      throw std::invalid_argument("num_agents = " + std::to_string(num_agents) +
                                  " needs as many cells; size = " + std::to_string(size) + " has " +
                                  std::to_string(size * size));
    }
  }
};

/// One game of navigation. Cells are (x, y) = (column, row), row 0 at the top.
class Navigation {
 public:
  using Params = NavigationParams;
  using Obs = float;

  struct Cell {
    std::uint8_t x, y;
    bool operator==(const Cell&) const = default;
  };
  using Cells = std::array<Cell, kMaxAgents>;

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    Cells agents;
    Cells landmarks;  ///< landmark i is where agent i wants to be
  };

  enum Action : std::int32_t { kStay, kLeft, kRight, kDown, kUp };
  static constexpr std::array<std::string_view, 5> kActionNames{"stay", "left", "right", "down",
                                                                "up"};

  explicit Navigation(const Params& params)
      : p_(params), n_(static_cast<std::size_t>(p_.num_agents)) {
    for (int i = 0; i < p_.size; ++i) {
      scaled_[static_cast<std::size_t>(i)] =
          static_cast<float>(static_cast<double>(i) / static_cast<double>(p_.size - 1));
    }
  }

  Spec spec() const noexcept {
    const bool shared = p_.obs_order == Params::ObsOrder::kGlobal;
    return {.name = "navigation-v1",
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = shared ? 1 : p_.num_agents,
            .obs_size = 4 * p_.num_agents,
            .horizon = p_.horizon,
            .step_ns = 25.0 + 8.0 * p_.num_agents + 1.2 * p_.num_agents * p_.num_agents};
  }

  /// Landmarks on distinct cells, then agents on distinct cells, which may be landmarks.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    // Drawn even where episode 0 overrules it, so that the agents' words are the same either way.
    place(rng, s_.landmarks);
    place(rng, s_.agents);
    if (p_.landmarks == Params::Landmarks::kFixed) {
      Rng first = rng.of_episode(0);
      place(first, s_.landmarks);
    }
    observe(io.obs);
    meet(io.neighbours);
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    move(rng, io.action);
    const std::array<int, kMaxAgents> company = meet(io.neighbours);
    for (std::size_t i = 0; i < n_; ++i) {
      double reward = 0;
      reward -= p_.dist_scale * distance(s_.agents[i], s_.landmarks[i]);
      reward -= p_.collision * company[i];
      io.reward[i] = static_cast<float>(reward);
    }
    observe(io.obs);
    return false;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    const auto inside = [this](Cell c) { return c.x < p_.size && c.y < p_.size; };
    const auto all_inside = [&](const Cells& cells) {
      return std::all_of(cells.begin(), cells.begin() + p_.num_agents, inside);
    };
    return all_inside(state.agents) && all_inside(state.landmarks);
  }

  /// agents [N, 2] and landmarks [N, 2] as (row, column).
  template <class Row>
  void inspect(Row&& row) const {
    const auto show = [&](std::string_view name, const Cells& cells) {
      std::vector<std::int32_t> values;
      for (const Cell cell : std::span(cells).first(n_)) {
        values.push_back(cell.y);
        values.push_back(cell.x);
      }
      row(name, Shape{n_, 2}, std::span<const std::int32_t>(values));
    };
    show("agents", s_.agents);
    show("landmarks", s_.landmarks);
  }

 private:
  void place(Rng& rng, Cells& to) const noexcept {
    std::array<std::uint16_t, Params::kMaxSize * Params::kMaxSize> storage;
    const std::span cells(storage.data(), static_cast<std::size_t>(p_.size * p_.size));
    std::iota(cells.begin(), cells.end(), std::uint16_t{0});
    rng.choose(cells, n_);
    for (std::size_t i = 0; i < n_; ++i) {
      to[i] = {static_cast<std::uint8_t>(cells[i] % p_.size),
               static_cast<std::uint8_t>(cells[i] / p_.size)};
    }
  }

  /// Where an action leads from a cell, clipped at the border. Looked up and not branched on: the
  /// actions of a learning agent cannot be predicted.
  Cell target(Cell from, std::int32_t action) const noexcept {
    static constexpr std::array<std::int8_t, 5> kAlongX{0, -1, 1, 0, 0};
    static constexpr std::array<std::int8_t, 5> kAlongY{0, 0, 0, 1, -1};
    const auto a = static_cast<std::size_t>(action);
    return {static_cast<std::uint8_t>(std::clamp(from.x + kAlongX[a], 0, p_.size - 1)),
            static_cast<std::uint8_t>(std::clamp(from.y + kAlongY[a], 0, p_.size - 1))};
  }

  void move(Rng& rng, std::span<const std::int32_t> action) noexcept {
    if (!p_.block) {
      for (std::size_t i = 0; i < n_; ++i) s_.agents[i] = target(s_.agents[i], action[i]);
      return;
    }
    std::array<std::uint8_t, kMaxAgents> order;
    rng.perm(std::span(order.data(), n_));
    const auto agents = std::span(s_.agents).first(n_);
    for (std::size_t k = 0; k < n_; ++k) {
      const std::size_t i = order[k];
      const Cell to = target(s_.agents[i], action[i]);
      if (std::ranges::find(agents, to) == agents.end()) s_.agents[i] = to;
    }
  }

  double distance(Cell a, Cell b) const noexcept {
    const int dx = std::abs(a.x - b.x);
    const int dy = std::abs(a.y - b.y);
    return p_.metric == Params::Distance::kL2 ? std::sqrt(static_cast<double>(dx * dx + dy * dy))
                                              : static_cast<double>(dx + dy);
  }

  /// Who hears whom; returns how many others each agent shares its cell with.
  std::array<int, kMaxAgents> meet(std::span<std::uint8_t> neighbours) const noexcept {
    // Bytes may alias anything: read from copies, or every store would force all back in.
    const std::size_t n = n_;
    const int radius = p_.neigh_radius;
    const bool cheb = p_.neigh_metric == Params::Metric::kChebyshev;
    Cells at;
    std::array<int, kMaxAgents> company;
    std::copy_n(s_.agents.begin(), n, at.begin());
    std::fill_n(company.begin(), n, 0);
    std::uint8_t* const hears = neighbours.data();
    for (std::size_t i = 0; i < n; ++i) {
      hears[i * n + i] = 0;
      for (std::size_t j = 0; j < i; ++j) {
        const int dx = std::abs(at[i].x - at[j].x);
        const int dy = std::abs(at[i].y - at[j].y);
        const bool near = (cheb ? std::max(dx, dy) : dx + dy) <= radius;
        hears[i * n + j] = near;
        hears[j * n + i] = near;
        const int together = dx + dy == 0;
        company[i] += together;
        company[j] += together;
      }
    }
    return company;
  }

  void observe(std::span<Obs> obs) const noexcept {
    float* to = obs.data();
    const auto put = [&](Cell cell) {
      *to++ = scaled_[cell.x];
      *to++ = scaled_[cell.y];
    };
    const std::size_t n = n_;
    if (p_.obs_order == Params::ObsOrder::kGlobal) {
      for (std::size_t i = 0; i < n; ++i) put(s_.agents[i]);
      for (std::size_t i = 0; i < n; ++i) put(s_.landmarks[i]);
      return;
    }
    const auto put_both = [&](std::size_t i) {
      put(s_.agents[i]);
      put(s_.landmarks[i]);
    };
    for (std::size_t i = 0; i < n; ++i) {
      put_both(i);
      for (std::size_t j = 0; j < n; ++j) {
        if (j != i) put_both(j);
      }
    }
  }

  Params p_;
  std::size_t n_;
  std::array<float, Params::kMaxSize> scaled_{};
  State s_{};
};

static_assert(Inspectable<Navigation>);

}  // namespace ascore
