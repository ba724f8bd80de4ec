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

struct ExchangeParams {
  enum class Opener : std::uint8_t { kAny, kNext };
  enum class FoodRule : std::uint8_t { kImmediate, kPickup };
  enum class Contest : std::uint8_t { kRandom, kLowest };
  enum class Eaten : std::uint8_t { kMinusOne, kFlag };
  enum class Collisions : std::uint8_t { kNone, kBlock };
  enum class Metric : std::uint8_t { kChebyshev, kManhattan };

  static constexpr int kMaxSize = 32;

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
  using Params = ExchangeParams;
  using Obs = float;

  struct Cell {
    std::uint8_t x, y;
    bool operator==(const Cell&) const = default;
  };
  enum class Box : std::uint8_t { kClosed, kOpen, kEaten };

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    std::array<Cell, kMaxAgents> agents;
    std::array<Cell, kMaxAgents> boxes;  ///< box b holds the food of agent b
    std::array<Box, kMaxAgents> food;
  };

  enum Action : std::int32_t { kStay, kLeft, kRight, kDown, kUp, kOpen };
  static constexpr std::array<std::string_view, 6> kActionNames{"stay", "left", "right",
                                                                "down", "up",   "open"};

  explicit Exchange(const Params& params)
      : p_(params), n_(static_cast<std::size_t>(p_.num_agents)) {
    for (int i = 0; i < p_.size; ++i) {
      scaled_[static_cast<std::size_t>(i)] =
          static_cast<float>(static_cast<double>(i) / static_cast<double>(p_.size - 1));
    }
  }

  Spec spec() const noexcept {
    const int flags = p_.eaten == Params::Eaten::kFlag ? p_.num_agents : 0;
    return {.name = "exchange-v1",
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = 1,
            .obs_size = 4 * p_.num_agents + flags,
            .horizon = p_.horizon,
            .step_ns = 60.0 + 10.0 * p_.num_agents + 1.0 * p_.num_agents * p_.num_agents};
  }

  /// Boxes, then agents, on distinct cells drawn without replacement.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    std::array<std::uint16_t, Params::kMaxSize * Params::kMaxSize> storage;
    const std::span cells(storage.data(), static_cast<std::size_t>(p_.size * p_.size));
    std::iota(cells.begin(), cells.end(), std::uint16_t{0});
    std::span<std::uint16_t> agents;
    if (p_.agents_on_boxes) {
      rng.choose(cells, n_);
      place(cells, s_.boxes);
      std::iota(cells.begin(), cells.end(), std::uint16_t{0});
      rng.choose(cells, n_);
      agents = cells;
    } else {
      rng.choose(cells, 2 * n_);
      place(cells, s_.boxes);
      agents = cells.subspan(n_);
    }
    place(agents, s_.agents);
    std::fill_n(s_.food.begin(), n_, Box::kClosed);
    observe(io);
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    std::array<double, kMaxAgents> reward;
    std::fill_n(reward.begin(), n_, 0.0);
    const bool time_is_money = p_.time_cost_after || !all_eaten();

    move(rng, io.action);
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
    const auto inside = [this](Cell c) { return c.x < p_.size && c.y < p_.size; };
    for (std::size_t i = 0; i < n_; ++i) {
      if (!inside(state.agents[i]) || !inside(state.boxes[i]) || state.food[i] > Box::kEaten) {
        return false;
      }
    }
    return true;
  }

  /// agents [N, 2] and boxes [N, 2] as (row, column); food [N]: 0 closed, 1 open, 2 eaten.
  template <class Row>
  void inspect(Row&& row) const {
    using Integers = std::span<const std::int32_t>;
    const auto show = [&](std::string_view name, const std::array<Cell, kMaxAgents>& cells) {
      std::vector<std::int32_t> values;
      for (const Cell cell : std::span(cells).first(n_)) {
        values.push_back(cell.y);
        values.push_back(cell.x);
      }
      row(name, Shape{n_, 2}, Integers(values));
    };
    show("agents", s_.agents);
    show("boxes", s_.boxes);
    std::vector<std::int32_t> food;
    for (const Box box : std::span(s_.food).first(n_)) {
      food.push_back(static_cast<std::int32_t>(box));
    }
    row("food", Shape{n_}, Integers(food));
  }

 private:
  using Rewards = std::array<double, kMaxAgents>;
  using Order = std::array<std::uint8_t, kMaxAgents>;

  void place(std::span<const std::uint16_t> cells,
             std::array<Cell, kMaxAgents>& to) const noexcept {
    for (std::size_t i = 0; i < n_; ++i) {
      to[i] = {static_cast<std::uint8_t>(cells[i] % p_.size),
               static_cast<std::uint8_t>(cells[i] / p_.size)};
    }
  }

  /// Where an action leads from a cell, clipped at the border. Looked up and not branched on: the
  /// actions of a learning agent cannot be predicted.
  Cell target(Cell from, std::int32_t action) const noexcept {
    static constexpr std::array<std::int8_t, 6> kAlongX{0, -1, 1, 0, 0, 0};
    static constexpr std::array<std::int8_t, 6> kAlongY{0, 0, 0, 1, -1, 0};
    const auto a = static_cast<std::size_t>(action);
    return {static_cast<std::uint8_t>(std::clamp(from.x + kAlongX[a], 0, p_.size - 1)),
            static_cast<std::uint8_t>(std::clamp(from.y + kAlongY[a], 0, p_.size - 1))};
  }

  void move(Rng& rng, std::span<const std::int32_t> action) noexcept {
    if (p_.collisions == Params::Collisions::kNone) {
      for (std::size_t i = 0; i < n_; ++i) s_.agents[i] = target(s_.agents[i], action[i]);
      return;
    }
    Order order;
    rng.perm(std::span(order.data(), n_));
    for (std::size_t k = 0; k < n_; ++k) {
      const std::size_t i = order[k];
      const Cell to = target(s_.agents[i], action[i]);
      const auto agents = std::span(s_.agents).first(n_);
      if (std::ranges::find(agents, to) == agents.end()) s_.agents[i] = to;
    }
  }

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
          manhattan(s_.agents[opener], s_.boxes[b]) <= p_.open_range) {
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

  static int manhattan(Cell a, Cell b) noexcept {
    return std::abs(a.x - b.x) + std::abs(a.y - b.y);
  }

  static int chebyshev(Cell a, Cell b) noexcept {
    return std::max(std::abs(a.x - b.x), std::abs(a.y - b.y));
  }

  void observe(StepView<Obs> io) const noexcept {
    float* to = io.obs.data();
    const auto put = [&](Cell cell) {
      *to++ = scaled_[cell.x];
      *to++ = scaled_[cell.y];
    };
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

    const bool cheb = p_.neigh_metric == Params::Metric::kChebyshev;
    for (std::size_t i = 0; i < n_; ++i) {
      const Cell at = s_.agents[i];
      io.neighbours[i * n_ + i] = 0;
      for (std::size_t j = 0; j < i; ++j) {
        const Cell other = s_.agents[j];
        const bool near = (cheb ? chebyshev(at, other) : manhattan(at, other)) <= p_.neigh_radius;
        io.neighbours[i * n_ + j] = near;
        io.neighbours[j * n_ + i] = near;
      }
    }
  }

  Params p_;
  std::size_t n_;
  std::array<float, Params::kMaxSize> scaled_{};
  State s_{};
};

static_assert(Inspectable<Exchange>);

}  // namespace ascore
