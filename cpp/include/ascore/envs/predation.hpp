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
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/envs/nearest.hpp"
#include "ascore/envs/weights.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct PredationParams {
  enum class Approach : std::uint8_t { kSign, kDistance };
  enum class Mixed : std::uint8_t { kLiteral, kPairwise };
  enum class ObsMode : std::uint8_t { kFull, kNearest };

  /// What states saved by earlier versions do not name: see `VecEnv`.
  static constexpr std::array<std::string_view, 3> kLater{"obs_mode", "nearest", "weights"};

  int num_agents = 8;
  int horizon = 30;
  double length = 30;
  double step_length = 1;
  Approach approach = Approach::kSign;
  Mixed mixed = Mixed::kLiteral;
  double obs_scale = 1.0 / 30.0;
  double neigh_radius = 0.1;
  ObsMode obs_mode = ObsMode::kFull;
  int nearest = 2;
  std::string weights{kEqualWeights};

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kPositive{1e-9, 1e9};
    row("num_agents", p.num_agents, Range{1, kMaxCrowd}, "predators",
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
    row("obs_mode", p.obs_mode, one_of("full", "nearest"),
        "what is observed: one view of all agents' distances to the prey; or a view per agent, "
        "with its own distance and those of the nearest others",
        "assumption; the paper says full state");
    row("nearest", p.nearest, Range{1, kMostNearest},
        "others that an agent observes if obs_mode = nearest: those nearest to it, the nearest "
        "first, of equally near ones the lowest index",
        "assumption");
    row("weights", p.weights, kWeightsText,
        "how much approaching costs each agent, as a factor on the rewards of those who approach "
        "that nobody observes",
        kWeightsSource);
  }

  void check() const {
    if (obs_mode == ObsMode::kNearest) check_nearest(nearest, num_agents);
    if (mixed == Mixed::kPairwise && num_agents < 2) {
      throw std::invalid_argument("mixed = pairwise needs num_agents >= 2, got 1");
    }
    read_weights(weights, num_agents);
  }
};

class Predation {
 public:
  static constexpr const char* kName = "predation-v1";
  static constexpr bool kNeighboursOnRequest = true;
  using Params = PredationParams;
  using Obs = float;

  /// Everything that changes; entries from num_agents on are unused and zero.
  struct State {
    double target;           ///< where the prey sits
    PerAgent<double> agent;  ///< positions in [0, length]

    /// See `Saved`.
    template <class Self, class Part>
    static void visit(Self& s, Part&& part) {
      part(std::span(&s.target, 1));
      part(s.agent.all());
    }
  };

  static constexpr std::array<std::string_view, 2> kActionNames{"left", "right"};

  explicit Predation(const Params& params)
      : p_(params),
        n_(static_cast<std::size_t>(p_.num_agents)),
        earshot_(earshot(params)),
        weights_(read_weights(params.weights, params.num_agents)),
        s_{.target = 0, .agent = PerAgent<double>(n_)},
        by_place_(p_.obs_mode == Params::ObsMode::kNearest ? n_ : 0) {}

  Spec spec() const noexcept {
    const bool full = p_.obs_mode == Params::ObsMode::kFull;
    const double pairs = n_ <= kMaxAgents ? 1.5 * p_.num_agents * p_.num_agents : 0.0;
    return {.name = kName,
            .action_names = kActionNames,
            .num_agents = p_.num_agents,
            .views = full ? 1 : p_.num_agents,
            .obs_size = full ? p_.num_agents : 1 + p_.nearest,
            .horizon = p_.horizon,
            .step_ns = 30.0 + (full ? 5.0 : 100.0) * p_.num_agents + pairs};
  }

  /// The prey, then the agents, uniform on the line.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    s_.target = p_.length * rng.u01();
    const std::span<double> agent = s_.agent.all().first(n_);
    for (double& x : agent) x = p_.length * rng.u01();
    observe(agent.data(), io);
  }

  bool step(Rng&, StepView<Obs> io) noexcept {
    if (n_ <= kMaxAgents) {
      std::array<std::uint8_t, kMaxAgents> approaches;
      play(s_.agent.few(), approaches.data(), io);
    } else {
      play(s_.agent.all().data(), approaches_.data(), io);
    }
    return false;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    const auto inside = [this](double x) { return x >= 0 && x <= p_.length; };
    const std::span<const double> agents = state.agent.all();
    return inside(state.target) && std::ranges::all_of(agents.first(n_), inside) &&
           std::ranges::all_of(agents.subspan(n_), [](double x) { return x == 0; });
  }

  /// agents [N] and prey [1]: places on the line, 0 to length.
  template <class Row>
  void inspect(Row&& row) const {
    row("agents", Shape{n_}, s_.agent.all().first(n_));
    row("prey", Shape{1}, std::span<const double>(&s_.target, 1));
  }

 private:
  /// An agent at its place, for sorting.
  struct Placed {
    double place;
    std::uint32_t agent;

    bool operator<(const Placed& other) const noexcept {
      return place < other.place || (place == other.place && agent < other.agent);
    }
  };

  /// Moves, rewards and observations; `approaches` has room for n flags.
  void play(double* agent, std::uint8_t* approaches, const StepView<Obs>& io) noexcept {
    int count = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double direction = 2.0 * io.action[i] - 1.0;
      const double before = agent[i];
      const double after = std::clamp(before + direction * p_.step_length, 0.0, p_.length);
      // An agent exactly on the prey cannot approach it.
      approaches[i] = p_.approach == Params::Approach::kSign
                          ? direction * (s_.target - before) > 0
                          : std::abs(after - s_.target) < std::abs(before - s_.target);
      count += approaches[i];
      agent[i] = after;
    }

    const bool literal = p_.mixed == Params::Mixed::kLiteral;
    const double stays = literal ? literal_reward(false, count) : pairwise_reward(false, count);
    const double comes = literal ? literal_reward(true, count) : pairwise_reward(true, count);
    const std::array<float, 2> reward{static_cast<float>(stays), static_cast<float>(comes)};
    for (std::size_t i = 0; i < n_; ++i) io.reward[i] = reward[approaches[i]];
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      if (approaches[i]) io.reward[i] = static_cast<float>(comes * weights_[i]);
    }
    observe(agent, io);
  }

  /// Paper, section 5.1: -1 if all approach, -3 if none, else -4 to approachers and 0 to others.
  double literal_reward(bool approaches, int count) const noexcept {
    if (count == p_.num_agents) return -1;
    if (count == 0) return -3;
    return approaches ? -4 : 0;
  }

  /// Mean over the other agents of the two-player game: both approach -1; one does -4 and 0;
  /// neither -3.
  double pairwise_reward(bool approaches, int count) const noexcept {
    const int others = p_.num_agents - 1;
    const int with = count - (approaches ? 1 : 0);
    const int without = others - with;
    const int total = approaches ? -with - 4 * without : -3 * without;
    return static_cast<double>(total) / static_cast<double>(others);
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

  void observe(const double* agent, const StepView<Obs>& io) noexcept {
    if (p_.obs_mode == Params::ObsMode::kFull) {
      for (std::size_t i = 0; i < n_; ++i) io.obs[i] = seen(agent[i]);
    } else {
      observe_nearest(agent, io.obs.data());
    }
    if (n_ > kMaxAgents) {
      hear_many(agent, io.neighbours);
      return;
    }
    // Bytes may alias anything: read from a copy, or every store would force the positions back in.
    const std::size_t n = n_;
    const double reach = earshot_;
    std::array<double, kMaxAgents> x;
    std::copy_n(agent, n, x.begin());
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

  /// Who hears whom among many, row by row; nothing where nobody asks.
  [[gnu::noinline]] void hear_many(const double* agent,
                                   std::span<std::uint8_t> neighbours) const noexcept {
    if (neighbours.empty()) return;
    const double reach = earshot_;
    for (std::size_t i = 0; i < n_; ++i) {
      std::uint8_t* const hears = neighbours.data() + i * n_;
      for (std::size_t j = 0; j < n_; ++j) hears[j] = std::abs(agent[i] - agent[j]) <= reach;
      hears[i] = 0;
    }
  }

  /// A place on the line as it is observed.
  float seen(double place) const noexcept {
    return static_cast<float>((place - s_.target) * p_.obs_scale);
  }

  /// Per agent its own place and those of the nearest others.
  ///
  /// Agents are sorted by place and index. From its own place, an agent looks to the left and to
  /// the right, at one distance after the other. Agents on one place are a run, in the order of
  /// their indices, so that the first few of a run are all that can matter.
  [[gnu::noinline]] void observe_nearest(const double* agent, Obs* to) noexcept {
    const auto k = static_cast<std::size_t>(p_.nearest);
    Placed* const sorted = by_place_.data();
    Placed* const end = sorted + n_;
    for (std::size_t i = 0; i < n_; ++i) sorted[i] = {agent[i], static_cast<std::uint32_t>(i)};
    std::sort(sorted, end);
    for (Placed* first = sorted; first != end;) {
      Placed* const last = end_of_run(first, end);
      for (const Placed* self = first; self != last; ++self) {
        Nearest chosen;
        for (const Placed* p = first; p != last && chosen.count < k; ++p) {
          if (p != self) chosen.agent[chosen.count++] = p->agent;
        }
        look_around(first, last, k, chosen);
        Obs* row = to + self->agent * (k + 1);
        *row++ = seen(self->place);
        for (std::size_t r = 0; r < k; ++r) *row++ = seen(agent[chosen.agent[r]]);
      }
      first = last;
    }
  }

  /// Adds the nearest agents outside the run [left, right) until there are k.
  void look_around(const Placed* left, const Placed* right, std::size_t k,
                   Nearest& chosen) const noexcept {
    constexpr double kFar = std::numeric_limits<double>::infinity();
    const Placed* const begin = by_place_.data();
    const Placed* const end = begin + n_;
    const double here = left->place;
    const auto index = [](const Placed& placed) { return placed.agent; };
    while (chosen.count < k) {
      const auto to_left = [&] { return left == begin ? kFar : here - left[-1].place; };
      const auto to_right = [&] { return right == end ? kFar : right->place - here; };
      const double distance = std::min(to_left(), to_right());
      const std::size_t from = chosen.count;
      while (to_left() == distance) {
        const Placed* const last = left;
        left = start_of_run(begin, left);
        chosen.add(left, last, from, k, index);
      }
      while (to_right() == distance) {
        const Placed* const first = right;
        right = end_of_run(right, end);
        chosen.add(first, right, from, k, index);
      }
    }
  }

  /// Where the run ends that begins at `first`; most consist of one agent.
  template <class Pointer>
  static Pointer end_of_run(Pointer first, Pointer end) noexcept {
    const double place = first->place;
    if (first + 1 == end || first[1].place != place) return first + 1;
    return std::upper_bound(first, end, place,
                            [](double x, const Placed& other) { return x < other.place; });
  }

  /// Where the run begins that ends before `last`.
  static const Placed* start_of_run(const Placed* begin, const Placed* last) noexcept {
    const double place = last[-1].place;
    if (last - 1 == begin || last[-2].place != place) return last - 1;
    return std::lower_bound(begin, last, place,
                            [](const Placed& other, double x) { return other.place < x; });
  }

  Params p_;
  std::size_t n_;
  double earshot_;
  std::vector<double> weights_;  ///< of every agent's approach; none = 1 each
  State s_;
  std::vector<std::uint8_t> approaches_ = std::vector<std::uint8_t>(n_ > kMaxAgents ? n_ : 0);
  std::vector<Placed> by_place_;  ///< room to sort agents in
};

static_assert(Inspectable<Predation>);

}  // namespace ascore
