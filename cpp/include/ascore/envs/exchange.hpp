/// Exchange: every agent's food is in a box that only others can open, at their own cost.
///
/// Rules: "Learning to Cooperate under Private Rewards", section 5.1. What the paper leaves open is
/// a parameter; the defaults are the reading under which its own figures hold: full cooperation
/// earns the team 3 * (10 - 5) - 3 * 300 * 0.01 = 6 and nobody opening earns -9.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/envs/square.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct ExchangeParams {
  enum class Opener : std::uint8_t { kAny, kNext };
  enum class FoodRule : std::uint8_t { kImmediate, kPickup };
  enum class Contest : std::uint8_t { kRandom, kLowest };
  enum class Eaten : std::uint8_t { kMinusOne, kFlag };
  enum class Collisions : std::uint8_t { kNone, kBlock };
  using Metric = square::Metric;

  static constexpr int kMaxSize = square::Square::kMaxSize;

  int num_agents = 3;
  int size = 5;
  int horizon = 300;
  Opener opener = Opener::kAny;
  int open_range = 0;
  FoodRule food = FoodRule::kImmediate;
  double cost = 5;
  double gain = 10;
  double time_cost = 0.01;
  double useless_open_cost = 0;
  Contest contest = Contest::kRandom;
  bool early_end = false;
  bool time_cost_after = true;
  Eaten eaten = Eaten::kMinusOne;
  bool agents_on_boxes = false;
  Collisions collisions = Collisions::kNone;
  int neigh_radius = 1;
  Metric neigh_metric = Metric::kChebyshev;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kMoney{0.0, 1e6};
    constexpr Range kCells{0, 2 * kMaxSize};
    row("num_agents", p.num_agents, Range{2, kMaxAgents}, "agents, and as many boxes",
        "paper section 5.1");
    row("size", p.size, Range{2, kMaxSize}, "cells along a side of the square grid",
        "paper section 5.1");
    row("horizon", p.horizon, Range{1, 1'000'000'000}, "steps until an episode is truncated",
        "paper section 5.1");
    row("opener", p.opener, one_of("any", "next"),
        "who may open box b: any agent but b, or only agent (b + 1) mod num_agents",
        "paper section 5.1 (any)");
    row("open_range", p.open_range, kCells,
        "Manhattan distance, in cells, from which a box can be opened",
        "assumption: same cell; the paper is silent");
    row("food", p.food, one_of("immediate", "pickup"),
        "when food is eaten: as its box is opened, or once its owner stands on the opened box",
        "paper section 5.1 (immediate: no pick-up action exists)");
    row("cost", p.cost, kMoney, "reward points an opener pays", "paper section 5.1");
    row("gain", p.gain, kMoney, "reward points of food to its owner", "paper section 5.1");
    row("time_cost", p.time_cost, kMoney, "reward points every agent pays per step",
        "paper section 5.1");
    row("useless_open_cost", p.useless_open_cost, kMoney,
        "reward points of an open that finds no box to open",
        "assumption: free; the paper is silent");
    row("contest", p.contest, one_of("random", "lowest"),
        "which of two openers of one box opens it and pays: first in a random order drawn every "
        "step, or the lowest index",
        "assumption; the paper is silent");
    row("early_end", p.early_end, Either{}, "whether an episode terminates once all food is eaten",
        "paper section 5.3 (its 6 and -9 need all 300 steps)");
    row("time_cost_after", p.time_cost_after, Either{},
        "whether time still costs in steps that begin with all food eaten",
        "paper section 5.3 (its 6 and -9 need all 300 steps)");
    row("eaten", p.eaten, one_of("minus_one", "flag"),
        "how eaten food is observed: at (-1, -1), or by one more entry per box that is 0 closed, "
        "0.5 open and 1 eaten",
        "assumption; the paper is silent");
    row("agents_on_boxes", p.agents_on_boxes, Either{}, "whether agents may start on boxes",
        "assumption; the paper is silent");
    row("collisions", p.collisions, one_of("none", "block"),
        "whether agents share cells, or a move into an occupied cell fails (in a random order "
        "drawn every step)",
        "assumption; the paper is silent");
    row("neigh_radius", p.neigh_radius, kCells, "cells within which agents hear each other",
        "paper section 5.1, figure 8(b): a rectangle around the agent");
    row("neigh_metric", p.neigh_metric, one_of("cheb", "manhattan"),
        "distance for neigh_radius: Chebyshev or Manhattan",
        "paper section 5.1, figure 8(b): a rectangle around the agent");
  }

  void check() const {
    const int needed = agents_on_boxes ? num_agents : 2 * num_agents;
    if (needed > size * size) {
      throw std::invalid_argument(
          "num_agents = " + std::to_string(num_agents) + " needs " + std::to_string(needed) +
          " cells; size = " + std::to_string(size) + " has " + std::to_string(size * size));
    }
  }
};

/// One game of Exchange. Cells are (x, y) = (column, row), row 0 at the top.
class Exchange {
 public:
  static constexpr const char* kName = "exchange-v1";
  using Params = ExchangeParams;
  using Obs = float;

  using Cell = square::Cell;
  using Cells = square::Cells;
  enum class Box : std::uint8_t { kClosed, kOpen, kEaten };

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    Cells agents;
    Cells boxes;  ///< box b holds the food of agent b
    std::array<Box, kMaxAgents> food;
  };

  enum Action : std::int32_t { kStay, kLeft, kRight, kDown, kUp, kOpen };  // as square::Step
  static constexpr std::array<std::string_view, 6> kActionNames{"stay", "left", "right",
                                                                "down", "up",   "open"};

  explicit Exchange(const Params& params)
      : p_(params), n_(static_cast<std::size_t>(p_.num_agents)), square_(p_.size, p_.num_agents) {}

  Spec spec() const noexcept {
    const int flags = p_.eaten == Params::Eaten::kFlag ? p_.num_agents : 0;
    return {.name = kName,
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = 1,
            .obs_size = 4 * p_.num_agents + flags,
            .horizon = p_.horizon,
            .step_ns = 60.0 + 10.0 * p_.num_agents + 1.0 * p_.num_agents * p_.num_agents};
  }

  /// Boxes, then agents, on distinct cells drawn without replacement.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    square::Square::Numbers cells(square_);
    if (p_.agents_on_boxes) {
      square_.place(cells.choose(rng, n_), s_.boxes);
      square::Square::Numbers all(square_);
      square_.place(all.choose(rng, n_), s_.agents);
    } else {
      const auto chosen = cells.choose(rng, 2 * n_);
      square_.place(chosen, s_.boxes);
      square_.place(chosen.subspan(n_), s_.agents);
    }
    std::fill_n(s_.food.begin(), n_, Box::kClosed);
    observe(io);
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    std::array<double, kMaxAgents> reward;
    std::fill_n(reward.begin(), n_, 0.0);
    const bool time_is_money = p_.time_cost_after || !all_eaten();

    square_.move(rng, io.action, p_.collisions == Params::Collisions::kBlock, s_.agents);
    open(rng, io.action, reward);
    if (p_.food == Params::FoodRule::kPickup) pick_up(reward);
    if (time_is_money) {
      for (std::size_t i = 0; i < n_; ++i) reward[i] -= p_.time_cost;
    }

    for (std::size_t i = 0; i < n_; ++i) io.reward[i] = static_cast<float>(reward[i]);
    observe(io);
    return p_.early_end && all_eaten();
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    const bool opens = p_.food == Params::FoodRule::kPickup;
    const auto known = [opens](Box box) {
      return box == Box::kClosed || (opens && box == Box::kOpen) || box == Box::kEaten;
    };
    const auto unused = [](Box box) { return box == Box{}; };
    const std::span food(state.food);
    return square_.admits(state.agents) && square_.admits(state.boxes) &&
           square_.distinct(state.boxes) && std::ranges::all_of(food.first(n_), known) &&
           std::ranges::all_of(food.subspan(n_), unused) &&
           (p_.collisions == Params::Collisions::kNone || square_.distinct(state.agents));
  }

  /// agents [N, 2] and boxes [N, 2] as (row, column); food [N]: 0 closed, 1 open, 2 eaten.
  template <class Row>
  void inspect(Row&& row) const {
    square_.inspect("agents", s_.agents, row);
    square_.inspect("boxes", s_.boxes, row);
    std::vector<std::int32_t> food;
    for (const Box box : std::span(s_.food).first(n_)) {
      food.push_back(static_cast<std::int32_t>(box));
    }
    row("food", Shape{n_}, std::span<const std::int32_t>(food));
  }

 private:
  using Rewards = std::array<double, kMaxAgents>;
  using Order = std::array<std::uint8_t, kMaxAgents>;

  void open(Rng& rng, std::span<const std::int32_t> action, Rewards& reward) noexcept {
    Order order;
    if (p_.contest == Params::Contest::kRandom) {
      rng.perm(std::span(order.data(), n_));  // drawn even if nobody opens: a fixed draw count
    } else {
      std::iota(order.begin(), order.begin() + p_.num_agents, std::uint8_t{0});
    }
    for (std::size_t k = 0; k < n_; ++k) {
      const std::size_t opener = order[k];
      if (action[opener] != kOpen) continue;
      const std::size_t box = reachable_box(opener);
      if (box == n_) {
        reward[opener] -= p_.useless_open_cost;
      } else {
        reward[opener] -= p_.cost;
        if (p_.food == Params::FoodRule::kImmediate) {
          s_.food[box] = Box::kEaten;
          reward[box] += p_.gain;
        } else {
          s_.food[box] = Box::kOpen;
        }
      }
    }
  }

  /// The lowest closed box that this agent may open from where it stands; num_agents if none.
  std::size_t reachable_box(std::size_t opener) const noexcept {
    for (std::size_t b = 0; b < n_; ++b) {
      const bool permitted =
          p_.opener == Params::Opener::kAny ? b != opener : (b + 1) % n_ == opener;
      if (permitted && s_.food[b] == Box::kClosed &&
          square::manhattan(s_.agents[opener], s_.boxes[b]) <= p_.open_range) {
        return b;
      }
    }
    return n_;
  }

  void pick_up(Rewards& reward) noexcept {
    for (std::size_t i = 0; i < n_; ++i) {
      if (s_.food[i] == Box::kOpen && s_.agents[i] == s_.boxes[i]) {
        s_.food[i] = Box::kEaten;
        reward[i] += p_.gain;
      }
    }
  }

  bool all_eaten() const noexcept {
    return std::all_of(s_.food.begin(), s_.food.begin() + p_.num_agents,
                       [](Box box) { return box == Box::kEaten; });
  }

  void observe(StepView<Obs> io) const noexcept {
    float* to = io.obs.data();
    const auto put = [&](Cell cell) { to = square_.observe(to, cell); };
    for (std::size_t i = 0; i < n_; ++i) put(s_.agents[i]);
    if (p_.eaten == Params::Eaten::kMinusOne) {
      for (std::size_t b = 0; b < n_; ++b) {
        if (s_.food[b] == Box::kEaten) {
          *to++ = -1;
          *to++ = -1;
        } else {
          put(s_.boxes[b]);
        }
      }
    } else {
      for (std::size_t b = 0; b < n_; ++b) put(s_.boxes[b]);
      for (std::size_t b = 0; b < n_; ++b) *to++ = 0.5F * static_cast<float>(s_.food[b]);
    }

    square_.meet(s_.agents, p_.neigh_radius, p_.neigh_metric, io.neighbours,
                 [](std::size_t, std::size_t, bool) {});
  }

  Params p_;
  std::size_t n_;
  square::Square square_;
  State s_{};
};

static_assert(Inspectable<Exchange>);

}  // namespace ascore
