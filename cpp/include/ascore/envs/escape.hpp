/// Escape Room: the door opens for others while enough agents pull a lever, at their own cost.
///
/// Rules: Yang et al. 2020, "Learning to Incentivize Other Learning Agents", section 5.1, and their
/// code (`lio/env/room_symmetric.py` of 011235813/lio). Actions are places: the start, the lever or
/// the door, and an agent is there in the same step. While at least `needed` agents are at the
/// lever, each agent at the door earns `gain`, and an episode in which one does is over. Who pays
/// `cost`, and when, is published in two ways, see `cost_rule`. A team that needs M of its N agents
/// earns at most 10 (N - M) - M.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ascore/env.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct EscapeParams {
  enum class CostRule : std::uint8_t { kLever, kMove };
  enum class Starts : std::uint8_t { kStart, kAnywhere };

  int num_agents = 5;
  int needed = 0;
  int horizon = 5;
  double gain = 10;
  double cost = 1;
  CostRule cost_rule = CostRule::kLever;
  Starts starts = Starts::kStart;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kMoney{0.0, 1e6};
    row("num_agents", p.num_agents, Range{2, kMaxAgents}, "agents in the room",
        "Yang et al. 2020, section 5.1 (2 and 3); later work plays 2 to 12");
    row("needed", p.needed, Range{0, kMaxAgents - 1},
        "agents at the lever that open the door; 0 = half of the agents, rounded up",
        "Yang et al. 2020, section 5.1 (1 of 2, 2 of 3)");
    row("horizon", p.horizon, Range{1, 1'000'000'000}, "steps until an episode is truncated",
        "Yang et al. 2020, code (max_steps)");
    row("gain", p.gain, kMoney, "reward points of an agent at the open door",
        "Yang et al. 2020, section 5.1");
    row("cost", p.cost, kMoney, "reward points that an agent pays, see cost_rule",
        "Yang et al. 2020, section 5.1");
    row("cost_rule", p.cost_rule, one_of("lever", "move"),
        "who pays: agents at the lever, or agents that change their place and do not end at an "
        "open door",
        "move: Yang et al. 2020, code; lever: assumption, as in later work that pays only levers");
    row("starts", p.starts, one_of("start", "anywhere"),
        "where agents are at first: at the start, or in a random place each",
        "Yang et al. 2020, code (randomize)");
  }

  /// `needed` with its default worked out.
  int pullers() const noexcept { return needed == 0 ? (num_agents + 1) / 2 : needed; }

  void check() const {
    if (needed >= num_agents) {
      throw std::invalid_argument(
          "needed = " + std::to_string(needed) + " leaves nobody for the door; with num_agents = " +
          std::to_string(num_agents) + " it must be at most " + std::to_string(num_agents - 1));
    }
  }
};

/// One game of Escape Room.
class Escape {
 public:
  static constexpr const char* kName = "escape-v1";
  using Params = EscapeParams;
  using Obs = std::uint8_t;

  enum Place : std::uint8_t { kStart, kLever, kDoor };
  static constexpr std::size_t kPlaces = 3;
  /// Action k leads to place k.
  static constexpr std::array<std::string_view, kPlaces> kActionNames{"stay", "lever", "door"};

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    std::array<Place, kMaxAgents> place;
  };

  explicit Escape(const Params& params)
      : p_(params), n_(static_cast<std::size_t>(p_.num_agents)), needed_(params.pullers()) {}

  Spec spec() const noexcept {
    return {.name = kName,
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = p_.num_agents,
            .obs_size = static_cast<int>(kPlaces) * p_.num_agents,
            .horizon = p_.horizon,
            .step_ns = 20.0 + 5.0 * p_.num_agents + 1.0 * p_.num_agents * p_.num_agents};
  }

  /// With starts = anywhere, one draw of three for each agent, in order; otherwise no draws.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    for (std::size_t i = 0; i < n_; ++i) {
      s_.place[i] =
          p_.starts == Params::Starts::kAnywhere ? static_cast<Place>(rng.below(kPlaces)) : kStart;
    }
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j < n_; ++j) io.neighbours[i * n_ + j] = i != j;
    }
    observe(io.obs);
  }

  /// No draws.
  bool step(Rng&, StepView<Obs> io) noexcept {
    std::array<bool, kMaxAgents> moves;
    for (std::size_t i = 0; i < n_; ++i) {
      const auto to = static_cast<Place>(io.action[i]);
      moves[i] = to != s_.place[i];
      s_.place[i] = to;
    }
    const bool open = door_is_open();
    bool escapes = false;
    for (std::size_t i = 0; i < n_; ++i) {
      const bool out = open && s_.place[i] == kDoor;
      const bool pays =
          p_.cost_rule == Params::CostRule::kLever ? s_.place[i] == kLever : moves[i] && !out;
      io.reward[i] = static_cast<float>((out ? p_.gain : 0.0) - (pays ? p_.cost : 0.0));
      escapes |= out;
    }
    observe(io.obs);
    return escapes;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    const std::span places(state.place);
    return std::ranges::all_of(places.first(n_), [](Place at) { return at < kPlaces; }) &&
           std::ranges::all_of(places.subspan(n_), [](Place at) { return at == Place{}; });
  }

  /// agents [N]: 0 at the start, 1 at the lever, 2 at the door; door [1]: whether it is open.
  template <class Row>
  void inspect(Row&& row) const {
    std::array<std::int32_t, kMaxAgents> places;
    std::copy_n(s_.place.begin(), n_, places.begin());
    row("agents", Shape{n_}, std::span<const std::int32_t>(places).first(n_));
    const std::uint8_t open = door_is_open();
    row("door", Shape{1}, std::span<const std::uint8_t>(&open, 1));
  }

 private:
  bool door_is_open() const noexcept {
    return std::count(s_.place.begin(), s_.place.begin() + p_.num_agents, kLever) >= needed_;
  }

  /// A view per agent: places as ones of three, its own first, then those of the others in order.
  void observe(std::span<Obs> obs) const noexcept {
    std::ranges::fill(obs, Obs{0});
    for (std::size_t i = 0; i < n_; ++i) {
      Obs* const view = obs.data() + i * n_ * kPlaces;
      view[s_.place[i]] = 1;
      for (std::size_t j = 0; j < n_; ++j) {
        if (j != i) view[(j < i ? j + 1 : j) * kPlaces + s_.place[j]] = 1;
      }
    }
  }

  Params p_;
  std::size_t n_;
  int needed_;
  State s_{};
};

static_assert(Inspectable<Escape>);

}  // namespace ascore
