/// Cooperative predation: agents on a line approach a prey together, or let the others do it.
///
/// Rules: "Learning to Cooperate under Private Rewards", section 5.1. Per step every agent earns -1
/// if all approach and -3 if none does; otherwise approachers earn -4 and the others 0.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>

#include "ascore/env.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct PredationParams {
  enum class Approach : std::uint8_t { kSign, kDistance };
  enum class Mixed : std::uint8_t { kLiteral, kPairwise };

  int num_agents = 8;
  int horizon = 30;
  double length = 30;
  double step_length = 1;
  Approach approach = Approach::kSign;
  Mixed mixed = Mixed::kLiteral;
  double obs_scale = 1.0 / 30.0;
  double neigh_radius = 0.1;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kPositive{1e-9, 1e9};
    row("num_agents", p.num_agents, Range{1, kMaxAgents}, "predators",
        "paper section 5.1 (8; 20 and 30 in section 5.3; 2 in figure 7)");
    row("horizon", p.horizon, Range{1, 1'000'000'000}, "steps until an episode is truncated",
        "paper section 5.1");
    row("length", p.length, kPositive, "length of the line, in units of distance",
        "paper section 5.1");
    row("step_length", p.step_length, kPositive, "distance an agent moves per step",
        "paper section 5.1 (actions -1 and +1)");
    row("approach", p.approach, one_of("sign", "distance"),
        "what counts as approaching: moving in the prey's direction, or ending nearer to it",
        "paper section 5.3 (sign: \"moving towards the target\")");
    row("mixed", p.mixed, one_of("literal", "pairwise"),
        "rewards when some approach: -4 and 0, or the mean over all two-player games",
        "paper section 5.1 (literal)");
    row("obs_scale", p.obs_scale, kPositive, "factor on the signed distances that are observed",
        "assumption: 1 / length; the paper is silent");
    row("neigh_radius", p.neigh_radius, Range{0.0, 1.0},
        "distance within which agents hear each other, as a fraction of length",
        "paper section 5.1");
  }

  void check() const {
    if (mixed == Mixed::kPairwise && num_agents < 2) {
      throw std::invalid_argument("mixed = pairwise needs num_agents >= 2, got 1");
    }
  }
};

class Predation {
 public:
  static constexpr const char* kName = "predation-v1";
  using Params = PredationParams;
  using Obs = float;

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    double target;                         ///< where the prey sits
    std::array<double, kMaxAgents> agent;  ///< positions in [0, length]
  };

  static constexpr std::array<std::string_view, 2> kActionNames{"left", "right"};

  explicit Predation(const Params& params)
      : p_(params), n_(static_cast<std::size_t>(p_.num_agents)), earshot_(earshot(params)) {}

  Spec spec() const noexcept {
    return {.name = kName,
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = 1,
            .obs_size = p_.num_agents,
            .horizon = p_.horizon,
            .step_ns = 30.0 + 5.0 * p_.num_agents + 1.5 * p_.num_agents * p_.num_agents};
  }

  /// The prey, then the agents, uniform on the line.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    s_.target = p_.length * rng.u01();
    for (std::size_t i = 0; i < n_; ++i) s_.agent[i] = p_.length * rng.u01();
    observe(io);
  }

  bool step(Rng&, StepView<Obs> io) noexcept {
    std::array<std::uint8_t, kMaxAgents> approaches;
    int count = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double direction = 2.0 * io.action[i] - 1.0;
      const double before = s_.agent[i];
      const double after = std::clamp(before + direction * p_.step_length, 0.0, p_.length);
      // An agent exactly on the prey cannot approach it.
      approaches[i] = p_.approach == Params::Approach::kSign
                          ? direction * (s_.target - before) > 0
                          : std::abs(after - s_.target) < std::abs(before - s_.target);
      count += approaches[i];
      s_.agent[i] = after;
    }

    const bool literal = p_.mixed == Params::Mixed::kLiteral;
    const std::array<float, 2> reward{
        literal ? literal_reward(false, count) : pairwise_reward(false, count),
        literal ? literal_reward(true, count) : pairwise_reward(true, count)};
    for (std::size_t i = 0; i < n_; ++i) io.reward[i] = reward[approaches[i]];
    observe(io);
    return false;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    const auto inside = [this](double x) { return x >= 0 && x <= p_.length; };
    const std::span agents(state.agent);
    return inside(state.target) && std::ranges::all_of(agents.first(n_), inside) &&
           std::ranges::all_of(agents.subspan(n_), [](double x) { return x == 0; });
  }

  /// agents [N] and prey [1]: places on the line, 0 to length.
  template <class Row>
  void inspect(Row&& row) const {
    row("agents", Shape{n_}, std::span<const double>(s_.agent).first(n_));
    row("prey", Shape{1}, std::span<const double>(&s_.target, 1));
  }

 private:
  /// Paper, section 5.1: -1 if all approach, -3 if none, else -4 to approachers and 0 to others.
  float literal_reward(bool approaches, int count) const noexcept {
    if (count == p_.num_agents) return -1;
    if (count == 0) return -3;
    return approaches ? -4 : 0;
  }

  /// Mean over the other agents of the two-player game: both approach -1; one does -4 and 0;
  /// neither -3.
  float pairwise_reward(bool approaches, int count) const noexcept {
    const int others = p_.num_agents - 1;
    const int with = count - (approaches ? 1 : 0);
    const int without = others - with;
    const int total = approaches ? -with - 4 * without : -3 * without;
    return static_cast<float>(static_cast<double>(total) / static_cast<double>(others));
  }

  /// The largest distance d for which d / length <= neigh_radius holds in double precision.
  /// Division rounds monotonically, so d <= earshot is the same test without a division for every
  /// pair. Positive doubles are ordered as their bit patterns are: bisect those.
  static double earshot(const Params& p) noexcept {
    auto inside = std::bit_cast<std::uint64_t>(0.0);
    auto outside = std::bit_cast<std::uint64_t>(2 * p.length);
    while (outside - inside > 1) {
      const std::uint64_t middle = inside + (outside - inside) / 2;
      (std::bit_cast<double>(middle) / p.length <= p.neigh_radius ? inside : outside) = middle;
    }
    return std::bit_cast<double>(inside);
  }

  void observe(StepView<Obs> io) const noexcept {
    for (std::size_t i = 0; i < n_; ++i) {
      io.obs[i] = static_cast<float>((s_.agent[i] - s_.target) * p_.obs_scale);
    }
    // Bytes may alias anything: read from a copy, or every store would force the positions back in.
    const std::size_t n = n_;
    const double reach = earshot_;
    std::array<double, kMaxAgents> x;
    std::copy_n(s_.agent.begin(), n, x.begin());
    std::uint8_t* const hears = io.neighbours.data();
    for (std::size_t i = 0; i < n; ++i) {
      hears[i * n + i] = 0;
      for (std::size_t j = 0; j < i; ++j) {
        const bool near = std::abs(x[i] - x[j]) <= reach;
        hears[i * n + j] = near;
        hears[j * n + i] = near;
      }
    }
  }

  Params p_;
  std::size_t n_;
  double earshot_;
  State s_{};
};

static_assert(Inspectable<Predation>);

}  // namespace ascore
