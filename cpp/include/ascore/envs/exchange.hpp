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
#include "ascore/envs/weights.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct ExchangeParams {
  enum class Opener : std::uint8_t { kAny, kNext };
  enum class FoodRule : std::uint8_t { kImmediate, kPickup };
  enum class Contest : std::uint8_t { kRandom, kLowest };
  enum class Eaten : std::uint8_t { kMinusOne, kFlag };
  enum class Collisions : std::uint8_t { kNone, kBlock };
  using Metric = square::Metric;

  /// What states saved by earlier versions do not name: see `VecEnv`.
  static constexpr std::array<std::string_view, 1> kLater{"weights"};

  static constexpr int kMaxSize = square::Square::kMaxSize;
  static constexpr int kMaxCells = square::Square::kMaxCells;

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
  std::string weights{kEqualWeights};

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kMoney{0.0, 1e6};
    constexpr Range kCells{0, 2 * kMaxSize};
    row("num_agents", p.num_agents, Range{2, kMaxCells}, "agents, and as many boxes",
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
    row("weights", p.weights, kWeightsText,
        "what its own food is worth to each agent, as a factor on gain that nobody observes",
        kWeightsSource);
  }

  void check() const {
    const int needed = agents_on_boxes ? num_agents : 2 * num_agents;
    if (needed > size * size) {
      throw std::invalid_argument(
          "num_agents = " + std::to_string(num_agents) + " needs " + std::to_string(needed) +
          " cells; size = " + std::to_string(size) + " has " + std::to_string(size * size));
    }
    read_weights(weights, num_agents);
  }
};

/// One game of Exchange. Cells are (x, y) = (column, row), row 0 at the top.
class Exchange {
 public:
  static constexpr const char* kName = "exchange-v1";
  static constexpr bool kNeighboursOnRequest = true;
  using Params = ExchangeParams;
  using Obs = float;

  using Cell = square::Cell;
  using Cells = square::Cells;
  enum class Box : std::uint8_t { kClosed, kOpen, kEaten };

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    Cells agents;
    Cells boxes;  ///< box b holds the food of agent b
    PerAgent<Box> food;

    /// See `Saved`.
    template <class Self, class Part>
    static void visit(Self& s, Part&& part) {
      part(s.agents.all());
      part(s.boxes.all());
      part(s.food.all());
    }
  };

  enum Action : std::int32_t { kStay, kLeft, kRight, kDown, kUp, kOpen };  // as square::Step
  static constexpr std::array<std::string_view, 6> kActionNames{"stay", "left", "right",
                                                                "down", "up",   "open"};

  explicit Exchange(const Params& params)
      : p_(params),
        n_(static_cast<std::size_t>(p_.num_agents)),
        square_(p_.size, p_.num_agents),
        gain_(read_weights(p_.weights, p_.num_agents)),
        s_{.agents = Cells(n_), .boxes = Cells(n_), .food = PerAgent<Box>(n_)} {
    if (gain_.empty()) gain_.assign(n_, 1);
    for (double& gain : gain_) gain *= p_.gain;
  }

  Spec spec() const noexcept {
    const int flags = p_.eaten == Params::Eaten::kFlag ? p_.num_agents : 0;
    return {.name = kName,
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = 1,
            .obs_size = 4 * p_.num_agents + flags,
            .horizon = p_.horizon,
            .step_ns = 60.0 + 10.0 * p_.num_agents +
                       (n_ <= kMaxAgents ? 1.0 * p_.num_agents * p_.num_agents : 0.0)};
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
    std::ranges::fill(s_.food.all().first(n_), Box::kClosed);
    square::Square::with_room(n_, [&](auto room) { observe<decltype(room)::value>(io); });
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    return n_ <= kMaxAgents ? play<kMaxAgents>(rng, io) : play_many(rng, io);
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    const bool opens = p_.food == Params::FoodRule::kPickup;
    const auto known = [opens](Box box) {
      return box == Box::kClosed || (opens && box == Box::kOpen) || box == Box::kEaten;
    };
    const auto unused = [](Box box) { return box == Box{}; };
    const std::span<const Box> food = state.food.all();
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
    for (const Box box : s_.food.all().first(n_)) {
      food.push_back(static_cast<std::int32_t>(box));
    }
    row("food", Shape{n_}, std::span<const std::int32_t>(food));
  }

 private:
  /// Where the pieces are, to be read once before all loops; those of few agents at places that
  /// compilers know.
  struct Pieces {
    Cell* agents;
    const Cell* boxes;
    Box* food;
  };

  template <std::size_t kRoom>
  Pieces pieces() noexcept {
    if constexpr (kRoom <= kMaxAgents) return {s_.agents.few(), s_.boxes.few(), s_.food.few()};
    return {s_.agents.all().data(), s_.boxes.all().data(), s_.food.all().data()};
  }

  // Few are played within `step`, and many apart from it: a call would cost a game of two 3 %.

  [[gnu::noinline]] bool play_many(Rng& rng, const StepView<Obs>& io) noexcept {
    return play<Params::kMaxCells>(rng, io);
  }

  template <std::size_t kRoom>
  [[gnu::always_inline]] inline bool play(Rng& rng, const StepView<Obs>& io) noexcept {
    std::array<double, kRoom> reward;
    std::fill_n(reward.begin(), n_, 0.0);
    const bool time_is_money = p_.time_cost_after || !all_eaten<kRoom>();

    square_.move<kRoom>(rng, io.action, p_.collisions == Params::Collisions::kBlock,
                        pieces<kRoom>().agents);
    open<kRoom>(rng, io.action, reward.data());
    if (p_.food == Params::FoodRule::kPickup) pick_up<kRoom>(reward.data());
    if (time_is_money) {
      for (std::size_t i = 0; i < n_; ++i) reward[i] -= p_.time_cost;
    }

    for (std::size_t i = 0; i < n_; ++i) io.reward[i] = static_cast<float>(reward[i]);
    observe<kRoom>(io);
    return p_.early_end && all_eaten<kRoom>();
  }

  template <std::size_t kRoom>
  void open(Rng& rng, std::span<const std::int32_t> action, double* reward) noexcept {
    const Pieces at = pieces<kRoom>();
    square::Square::Order<kRoom> order;
    if (p_.contest == Params::Contest::kRandom) {
      rng.perm(std::span(order.data(), n_));  // drawn even if nobody opens: a fixed draw count
    } else {
      std::iota(order.begin(), order.begin() + p_.num_agents,
                typename square::Square::Order<kRoom>::value_type{0});
    }
    [[maybe_unused]] std::array<std::size_t, kRoom <= kMaxAgents ? 1 : kRoom> by_cell;
    if constexpr (kRoom > kMaxAgents) {
      if (looks_at_cells()) by_cell.fill(n_);
      for (std::size_t b = 0; b < n_ && looks_at_cells(); ++b) {
        by_cell[square_.number(at.boxes[b])] = b;
      }
    }
    for (std::size_t k = 0; k < n_; ++k) {
      const std::size_t opener = order[k];
      if (action[opener] != kOpen) continue;
      const std::size_t box = [&] {
        if constexpr (kRoom > kMaxAgents) {
          if (p_.opener == Params::Opener::kNext) {
            const std::size_t only = (opener + n_ - 1) % n_;
            return opens(at, opener, only) ? only : n_;
          }
          if (looks_at_cells()) return box_around(at, opener, by_cell);
        }
        return reachable_box<kRoom>(opener);
      }();
      if (box == n_) {
        reward[opener] -= p_.useless_open_cost;
      } else {
        reward[opener] -= p_.cost;
        if (p_.food == Params::FoodRule::kImmediate) {
          at.food[box] = Box::kEaten;
          reward[box] += gain_[box];
        } else {
          at.food[box] = Box::kOpen;
        }
      }
    }
  }

  /// Whether this agent may open this box from where it stands, and the box is closed.
  bool opens(const Pieces& pieces, std::size_t opener, std::size_t b) const noexcept {
    const bool permitted = p_.opener == Params::Opener::kAny ? b != opener : (b + 1) % n_ == opener;
    return permitted && pieces.food[b] == Box::kClosed &&
           square::manhattan(pieces.agents[opener], pieces.boxes[b]) <= p_.open_range;
  }

  /// The lowest closed box that this agent may open from where it stands; num_agents if none.
  template <std::size_t kRoom>
  std::size_t reachable_box(std::size_t opener) noexcept {
    const Pieces at = pieces<kRoom>();
    for (std::size_t b = 0; b < n_; ++b) {
      if (opens(at, opener, b)) return b;
    }
    return n_;
  }

  /// Whether there are fewer cells around an agent than boxes.
  bool looks_at_cells() const noexcept {
    return 2 * p_.open_range * (p_.open_range + 1) < p_.num_agents;
  }

  /// The same box, among those on the cells around; by_cell holds the box on every cell.
  std::size_t box_around(const Pieces& pieces, std::size_t opener,
                         std::span<const std::size_t> by_cell) const noexcept {
    const Cell at = pieces.agents[opener];
    const int last = square_.size() - 1;
    std::size_t lowest = n_;
    for (int y = std::max(at.y - p_.open_range, 0); y <= std::min(at.y + p_.open_range, last);
         ++y) {
      const int wide = p_.open_range - std::abs(y - at.y);
      for (int x = std::max(at.x - wide, 0); x <= std::min(at.x + wide, last); ++x) {
        const Cell cell{static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y)};
        const std::size_t b = by_cell[square_.number(cell)];
        if (b < lowest && opens(pieces, opener, b)) lowest = b;
      }
    }
    return lowest;
  }

  template <std::size_t kRoom>
  void pick_up(double* reward) noexcept {
    const Pieces at = pieces<kRoom>();
    for (std::size_t i = 0; i < n_; ++i) {
      if (at.food[i] == Box::kOpen && at.agents[i] == at.boxes[i]) {
        at.food[i] = Box::kEaten;
        reward[i] += gain_[i];
      }
    }
  }

  template <std::size_t kRoom>
  bool all_eaten() noexcept {
    const Box* const food = pieces<kRoom>().food;
    return std::all_of(food, food + n_, [](Box box) { return box == Box::kEaten; });
  }

  template <std::size_t kRoom>
  void observe(const StepView<Obs>& io) noexcept {
    const Pieces at = pieces<kRoom>();
    float* to = io.obs.data();
    const auto put = [&](Cell cell) { to = square_.observe(to, cell); };
    for (std::size_t i = 0; i < n_; ++i) put(at.agents[i]);
    if (p_.eaten == Params::Eaten::kMinusOne) {
      for (std::size_t b = 0; b < n_; ++b) {
        if (at.food[b] == Box::kEaten) {
          *to++ = -1;
          *to++ = -1;
        } else {
          put(at.boxes[b]);
        }
      }
    } else {
      for (std::size_t b = 0; b < n_; ++b) put(at.boxes[b]);
      for (std::size_t b = 0; b < n_; ++b) *to++ = 0.5F * static_cast<float>(at.food[b]);
    }

    if constexpr (kRoom > kMaxAgents) {
      square_.meet_many(at.agents, p_.neigh_radius, p_.neigh_metric, io.neighbours);
    } else {
      square_.meet(at.agents, p_.neigh_radius, p_.neigh_metric, io.neighbours,
                   [](std::size_t, std::size_t, bool) {});
    }
  }

  Params p_;
  std::size_t n_;
  square::Square square_;
  std::vector<double> gain_;  ///< of every agent's food
  State s_;
};

static_assert(Inspectable<Exchange>);

}  // namespace ascore
