// Actions in great number on every environment, random and spiteful, with the state looked at after
// each: meant for the sanitizers, and for rules that must hold whatever agents do.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "ascore/vec_env.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

// On each variant; less of those whose views are large, which other tests look at.
constexpr std::size_t kActions = 250'000;
constexpr std::size_t kObserved = std::size_t{1} << 28;  // bytes

/// What the last step may do to a state; called for every environment after every step. An event is
/// worth `most` at most, 1 if all are worth the same.
template <class Env>
void check_change(const Env&, const typename Env::State&, const typename Env::State&, double,
                  double) {}

/// Apples come one per cell and go by being eaten, which is all that is rewarded; fire only costs.
template <class Env>
void check_apples(const Env& env, const typename Env::State& before,
                  const typename Env::State& after, double reward, double most) {
  std::size_t kept = 0;
  before.apples.for_each(grid::SiteSet::kWords,
                         [&](std::size_t site) { kept += after.apples.contains(site) ? 1 : 0; });
  // An apple that was eaten cannot be back: its cell is taken.
  const auto eaten = static_cast<double>(before.apples.size() - kept);
  if (env.spec().action_names.back() == "fire" || most != 1) {
    REQUIRE(reward <= most * eaten);
  } else {
    REQUIRE(reward == eaten);
  }
}

/// No two agents on a cell, none in a wall: `admits` says so.
void check_change(const Harvest& env, const Harvest::State& before, const Harvest::State& after,
                  double reward, double most) {
  check_apples(env, before, after, reward, most);
  REQUIRE(env.admits(after));
}

void check_change(const Cleanup& env, const Cleanup::State& before, const Cleanup::State& after,
                  double reward, double most) {
  check_apples(env, before, after, reward, most);
  std::size_t new_waste = 0;
  after.waste.for_each(grid::SiteSet::kWords,
                       [&](std::size_t site) { new_waste += before.waste.contains(site) ? 0 : 1; });
  REQUIRE(new_waste <= 1);
  REQUIRE(env.admits(after));
}

/// The n-th way of choosing actions: at random; all the same; all against one cell (everybody
/// forward or back); the last action most of the time; in turn through all actions.
std::int32_t choose(std::size_t way, std::size_t step, std::size_t agent, int num_actions,
                    Rng& rng) {
  const auto n = static_cast<std::uint64_t>(num_actions);
  const std::uint64_t random = rng.below(n);
  switch (way) {
    case 0:
      return static_cast<std::int32_t>(random);
    case 1:
      return static_cast<std::int32_t>(step / 7 % n);
    case 2:
      return static_cast<std::int32_t>(std::min<std::uint64_t>(2 + (step + agent) % 2, n - 1));
    case 3:
      return rng.below(4) == 0 ? static_cast<std::int32_t>(random) : num_actions - 1;
    default:
      return static_cast<std::int32_t>((step + agent) % n);
  }
}

template <class Env>
void torment(const typename Env::Params& params) {
  VecEnv<Env> batch(6, 17, 0, 2, params);
  batch.reset();
  const std::size_t n = batch.num_agents();
  const std::size_t per_step = batch.num_envs() * n;
  double most = 1;
  if constexpr (requires { params.weights; }) {
    if (params.weights != kEqualWeights) {
      most = std::ranges::max(read_weights(params.weights, params.num_agents));
    }
  }
  Rng rng(5, 5, 0, 0, Domain::kAction);
  std::vector<std::int32_t> action(per_step);
  std::vector<typename Env::State> before(batch.num_envs());
  const std::size_t steps = std::min(kActions / per_step, kObserved / batch.obs().size_bytes());
  for (std::size_t step = 0; step <= steps; ++step) {
    const std::size_t way = step / 50 % 5;
    for (std::size_t k = 0; k < per_step; ++k) {
      action[k] = choose(way, step, k % n, batch.spec().num_actions(), rng);
    }
    for (std::size_t b = 0; b < before.size(); ++b) before[b] = batch.env(b).state();
    batch.step(action);
    for (std::size_t b = 0; b < before.size(); ++b) {
      const auto reward = batch.reward().subspan(b * n, n);
      REQUIRE(std::ranges::all_of(reward, [](float r) { return std::isfinite(r); }));
      const auto& state = batch.env(b).state();
      REQUIRE(batch.env(b).admits(state));
      if (batch.truncated()[b] != 0 || batch.terminated()[b] != 0) continue;
      const double team = std::accumulate(reward.begin(), reward.end(), 0.0);
      check_change(batch.env(b), before[b], state, team, most);
    }
  }
}

TEST_CASE("many actions on every environment") {
  for_each_variant([]<class Env>(const typename Env::Params& params) { torment<Env>(params); });
}

}  // namespace
}  // namespace ascore
