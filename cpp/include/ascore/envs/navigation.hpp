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
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ascore/env.hpp"
#include "ascore/envs/nearest.hpp"
#include "ascore/envs/square.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct NavigationParams {
  enum class Distance : std::uint8_t { kL2, kL1 };
  enum class Landmarks : std::uint8_t { kPerEpisode, kFixed };
  enum class ObsOrder : std::uint8_t { kGlobal, kSelfFirst };
  enum class ObsMode : std::uint8_t { kFull, kNearest };
  using Metric = square::Metric;

  static constexpr int kMaxSize = square::Square::kMaxSize;
  static constexpr int kMaxCells = square::Square::kMaxCells;
  /// What states saved by earlier versions do not name: see `VecEnv`.
  static constexpr std::array<std::string_view, 2> kLater{"obs_mode", "nearest"};

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
  ObsMode obs_mode = ObsMode::kFull;
  int nearest = 2;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kPoints{0.0, 1e6};
    row("num_agents", p.num_agents, Range{1, kMaxCells}, "agents, and as many landmarks",
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
        "what is observed of the full state: one view for all with agents, then landmarks; or a "
        "view per agent, with its own place and landmark, then those of the others",
        "assumption; the paper says full state");
    row("neigh_radius", p.neigh_radius, Range{0, 2 * kMaxSize},
        "cells within which agents hear each other",
        "assumption: adjacent; the paper says adjacent counterparts");
    row("neigh_metric", p.neigh_metric, one_of("cheb", "manhattan"),
        "distance for neigh_radius: Chebyshev or Manhattan", "assumption; the paper is silent");
    row("obs_mode", p.obs_mode, one_of("full", "nearest"),
        "what is observed: the full state; or a view per agent, with its own place and landmark, "
        "then those of the nearest others",
        "assumption; the paper says full state");
    row("nearest", p.nearest, Range{1, kMostNearest},
        "others that an agent observes if obs_mode = nearest: those the fewest steps away, the "
        "nearest first, of equally near ones the lowest index",
        "assumption");
  }

  void check() const {
    if (num_agents > size * size) {
      throw std::invalid_argument("num_agents = " + std::to_string(num_agents) +
                                  " needs as many cells; size = " + std::to_string(size) + " has " +
                                  std::to_string(size * size));
    }
    if (obs_mode == ObsMode::kNearest) check_nearest(nearest, num_agents);
  }
};

/// One game of navigation. Cells are (x, y) = (column, row), row 0 at the top.
class Navigation {
 public:
  static constexpr const char* kName = "navigation-v1";
  static constexpr bool kNeighboursOnRequest = true;
  using Params = NavigationParams;
  using Obs = float;

  using Cell = square::Cell;
  using Cells = square::Cells;

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    Cells agents;
    Cells landmarks;  ///< landmark i is where agent i wants to be

    /// See `Saved`.
    template <class Self, class Part>
    static void visit(Self& s, Part&& part) {
      part(s.agents.all());
      part(s.landmarks.all());
    }
  };

  enum Action : std::int32_t { kStay, kLeft, kRight, kDown, kUp };  // as square::Step
  static constexpr std::array<std::string_view, 5> kActionNames{"stay", "left", "right", "down",
                                                                "up"};

  explicit Navigation(const Params& params)
      : p_(params),
        n_(static_cast<std::size_t>(p_.num_agents)),
        view_(view(p_)),
        square_(p_.size, p_.num_agents),
        s_{.agents = Cells(n_), .landmarks = Cells(n_)} {}

  Spec spec() const noexcept {
    const bool nearest = view_ == View::kNearest;
    const bool shared = view_ == View::kShared;
    const bool pairs = n_ <= kMaxAgents || !(shared || nearest);
    return {.name = kName,
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = shared ? 1 : p_.num_agents,
            .obs_size = 4 * (nearest ? 1 + p_.nearest : p_.num_agents),
            .horizon = p_.horizon,
            .step_ns = 25.0 + 8.0 * p_.num_agents +
                       (pairs ? 1.2 * p_.num_agents * p_.num_agents : 0.0) +
                       (nearest ? 2.0 * (1 + p_.nearest) * p_.size * p_.size : 0.0)};
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
    const Pieces pieces{s_.agents.all().data(), s_.landmarks.all().data()};
    observe(pieces, io.obs);
    square::Square::with_room(
        n_, [&](auto room) { meet<decltype(room)::value>(pieces.agents, io.neighbours); });
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    if (n_ <= kMaxAgents) {
      play<kMaxAgents>(rng, {s_.agents.few(), s_.landmarks.few()}, io);
    } else {
      play_many(rng, io);
    }
    return false;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    return square_.admits(state.agents) && square_.admits(state.landmarks) &&
           square_.distinct(state.landmarks) && (!p_.block || square_.distinct(state.agents));
  }

  /// agents [N, 2] and landmarks [N, 2] as (row, column).
  template <class Row>
  void inspect(Row&& row) const {
    square_.inspect("agents", s_.agents, row);
    square_.inspect("landmarks", s_.landmarks, row);
  }

 private:
  /// What is observed: one view, or one per agent of all or of the nearest.
  enum class View : std::uint8_t { kShared, kPerAgent, kNearest };

  static View view(const Params& p) noexcept {
    if (p.obs_mode == Params::ObsMode::kNearest) return View::kNearest;
    return p.obs_order == Params::ObsOrder::kGlobal ? View::kShared : View::kPerAgent;
  }

  /// Where the pieces are: the same in all loops of a step.
  struct Pieces {
    Cell* agents;
    const Cell* landmarks;
  };

  // Few are played within `step`, and many apart from it: a call would cost a game of two 6 %.

  [[gnu::noinline]] void play_many(Rng& rng, const StepView<Obs>& io) noexcept {
    play<Params::kMaxCells>(rng, {s_.agents.all().data(), s_.landmarks.all().data()}, io);
  }

  template <std::size_t kRoom>
  [[gnu::always_inline]] inline void play(Rng& rng, const Pieces& pieces,
                                          const StepView<Obs>& io) const noexcept {
    square_.move<kRoom>(rng, io.action, p_.block, pieces.agents);
    const std::array<int, kRoom> company = meet<kRoom>(pieces.agents, io.neighbours);
    for (std::size_t i = 0; i < n_; ++i) {
      double reward = 0;
      reward -= p_.dist_scale * distance(pieces.agents[i], pieces.landmarks[i]);
      reward -= p_.collision * company[i];
      io.reward[i] = static_cast<float>(reward);
    }
    observe(pieces, io.obs);
  }

  void place(Rng& rng, Cells& to) const noexcept {
    square::Square::Numbers numbers(square_);
    square_.place(numbers.choose(rng, n_), to);
  }

  double distance(Cell a, Cell b) const noexcept {
    const int dx = std::abs(a.x - b.x);
    const int dy = std::abs(a.y - b.y);
    return p_.metric == Params::Distance::kL2 ? std::sqrt(static_cast<double>(dx * dx + dy * dy))
                                              : static_cast<double>(dx + dy);
  }

  /// Who hears whom; returns how many others each agent shares its cell with.
  template <std::size_t kRoom>
  std::array<int, kRoom> meet(const Cell* agents,
                              std::span<std::uint8_t> neighbours) const noexcept {
    std::array<int, kRoom> company;
    if constexpr (kRoom > kMaxAgents) {
      square_.meet_many(agents, p_.neigh_radius, p_.neigh_metric, neighbours);
      std::array<int, Params::kMaxCells> on_cell{};
      for (std::size_t i = 0; i < n_; ++i) ++on_cell[square_.number(agents[i])];
      for (std::size_t i = 0; i < n_; ++i) company[i] = on_cell[square_.number(agents[i])] - 1;
      return company;
    }
    std::fill_n(company.begin(), n_, 0);
    square_.meet(agents, p_.neigh_radius, p_.neigh_metric, neighbours,
                 [&company](std::size_t i, std::size_t j, bool together) {
                   company[i] += together ? 1 : 0;
                   company[j] += together ? 1 : 0;
                 });
    return company;
  }

  void observe(const Pieces& pieces, std::span<Obs> obs) const noexcept {
    float* to = obs.data();
    const auto put = [&](Cell cell) { to = square_.observe(to, cell); };
    const std::size_t n = n_;
    const Cell* const agents = pieces.agents;
    const Cell* const landmarks = pieces.landmarks;
    if (view_ == View::kShared) {
      for (std::size_t i = 0; i < n; ++i) put(agents[i]);
      for (std::size_t i = 0; i < n; ++i) put(landmarks[i]);
      return;
    }
    if (view_ == View::kNearest) {
      observe_nearest(pieces, to);
      return;
    }
    const auto put_both = [&](std::size_t i) {
      put(agents[i]);
      put(landmarks[i]);
    };
    for (std::size_t i = 0; i < n; ++i) {
      put_both(i);
      for (std::size_t j = 0; j < n; ++j) {
        if (j != i) put_both(j);
      }
    }
  }

  /// Per agent its own place and landmark, and those of the nearest others.
  [[gnu::noinline]] void observe_nearest(const Pieces& pieces, float* to) const noexcept {
    const square::Crowd crowd(square_, pieces.agents);
    for (std::size_t i = 0; i < n_; ++i) {
      const auto put_both = [&](std::size_t j) {
        to = square_.observe(to, pieces.agents[j]);
        to = square_.observe(to, pieces.landmarks[j]);
      };
      put_both(i);
      const Nearest others = crowd.nearest(i, static_cast<std::size_t>(p_.nearest));
      for (std::size_t r = 0; r < others.count; ++r) put_both(others.agent[r]);
    }
  }

  Params p_;
  std::size_t n_;
  View view_;
  square::Square square_;
  State s_;
};

static_assert(Inspectable<Navigation>);

}  // namespace ascore
