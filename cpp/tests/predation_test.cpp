#include "ascore/envs/predation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "inspected.hpp"
#include "saved_state.hpp"
#include "solo_env.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

using Params = PredationParams;
using Floats = std::vector<float>;

constexpr std::int32_t kLeft = 0, kRight = 1;

const Variants<Predation> kVariants({
    {},
    {.num_agents = 64, .approach = Params::Approach::kDistance},
    {.num_agents = 2, .length = 1e-3, .mixed = Params::Mixed::kPairwise},
    {.num_agents = 2, .approach = Params::Approach::kDistance},
    {.num_agents = 30, .mixed = Params::Mixed::kPairwise},
});

struct Line : SoloEnv<Predation> {
  Line(Params params, double target, const std::vector<double>& positions)
      : SoloEnv(with_agents(params, positions.size())) {
    env.state().target = target;
    std::ranges::copy(positions, env.state().agent.begin());
  }

  static Params with_agents(Params params, std::size_t count) {
    params.num_agents = static_cast<int>(count);
    return params;
  }

  double agent(std::size_t i) const { return env.state().agent[i]; }
};

TEST_CASE("reset draws the prey, then the agents, uniform on the line") {
  SoloEnv<Predation> solo(Params{.num_agents = 3, .length = 7});
  solo.reset();
  Rng rng = SoloEnv<Predation>::stream(0);
  CHECK(solo.env.state().target == 7 * rng.u01());
  for (std::size_t i = 0; i < 3; ++i) CHECK(solo.env.state().agent[i] == 7 * rng.u01());
}

TEST_CASE("agents move by one step, and the ends of the line hold") {
  Line line({}, 15, {10, 0.25, 29.5});
  line.step({kRight, kLeft, kRight});
  CHECK(line.agent(0) == 11);
  CHECK(line.agent(1) == 0);
  CHECK(line.agent(2) == 30);
  line.step({kLeft, kLeft, kRight});
  CHECK(line.agent(0) == 10);
  CHECK(line.agent(1) == 0);
  CHECK(line.agent(2) == 30);

  Line longer({.length = 40, .step_length = 2.5}, 15, {10, 39});
  longer.step({kLeft, kRight});
  CHECK(longer.agent(0) == 7.5);
  CHECK(longer.agent(1) == 40);
}

TEST_CASE("literal rewards: all approach, none does, some do") {
  const std::vector<double> places{10, 20, 11};
  Line all({}, 15, places);
  CHECK_FALSE(all.step({kRight, kLeft, kRight}));
  CHECK(all.reward == Floats{-1, -1, -1});
  Line none({}, 15, places);
  none.step({kLeft, kRight, kLeft});
  CHECK(none.reward == Floats{-3, -3, -3});
  Line one({}, 15, places);
  one.step({kRight, kRight, kLeft});
  CHECK(one.reward == Floats{-4, 0, 0});
  Line two({}, 15, places);
  two.step({kRight, kRight, kRight});
  CHECK(two.reward == Floats{-4, 0, -4});
}

TEST_CASE("a single agent is all or none") {
  Line line({}, 15, {10});
  line.step({kRight});
  CHECK(line.reward == Floats{-1});
  line.step({kLeft});
  CHECK(line.reward == Floats{-3});
}

TEST_CASE("pairwise rewards are the mean over the two-player games") {
  const Params params{.mixed = Params::Mixed::kPairwise};
  const std::vector<double> places{10, 10, 10, 10};
  const auto play = [&](std::vector<std::int32_t> action) {
    Line line(params, 15, places);
    line.step(action);
    return line.reward;
  };
  CHECK(play({kRight, kRight, kRight, kRight}) == Floats{-1, -1, -1, -1});
  CHECK(play({kLeft, kLeft, kLeft, kLeft}) == Floats{-3, -3, -3, -3});
  // One alone: -4 in each of three games; the others win one game (0) and share two (-3).
  CHECK(play({kRight, kLeft, kLeft, kLeft}) == Floats{-4, -2, -2, -2});
  // Two: -1 in one game and -4 in two; the others 0 in two games and -3 in one.
  CHECK(play({kRight, kRight, kLeft, kLeft}) == Floats{-3, -3, -1, -1});
  // Three: -1 in two games and -4 in one; the other wins all three.
  CHECK(play({kRight, kRight, kRight, kLeft}) == Floats{-2, -2, -2, 0});
}

TEST_CASE("pairwise rewards divide integers once") {
  Line line({.mixed = Params::Mixed::kPairwise}, 15, {10, 10, 10, 10, 10, 10, 10, 10});
  line.step({kRight, kRight, kLeft, kLeft, kLeft, kLeft, kLeft, kLeft});
  CHECK(line.reward[0] == static_cast<float>(-25.0 / 7.0));
  CHECK(line.reward[7] == static_cast<float>(-15.0 / 7.0));
}

TEST_CASE("sign: approaching is a matter of direction, before the move") {
  // 0.2 away: the step overshoots and ends farther away, yet it approaches.
  Line line({}, 15, {14.8, 15.2});
  line.step({kRight, kLeft});
  CHECK(line.reward == Floats{-1, -1});
  line.step({kRight, kLeft});  // they have passed it and now run away
  CHECK(line.reward == Floats{-3, -3});
}

TEST_CASE("sign: an agent exactly on the prey cannot approach it") {
  Line line({}, 15, {15, 15});
  line.step({kRight, kLeft});
  CHECK(line.reward == Floats{-3, -3});
}

TEST_CASE("distance: approaching means ending nearer, after clipping") {
  const Params params{.approach = Params::Approach::kDistance};
  Line overshoot(params, 15, {14.8, 10});
  overshoot.step({kRight, kRight});
  CHECK(overshoot.reward == Floats{0, -4});
  Line halfway(params, 15, {14.5, 10});  // as far as before is not nearer
  halfway.step({kRight, kRight});
  CHECK(halfway.reward == Floats{0, -4});
  Line clipped(params, 0, {0.75, 10});  // clipped to 0, the prey's place
  clipped.step({kLeft, kLeft});
  CHECK(clipped.reward == Floats{-1, -1});
}

TEST_CASE("observations are signed distances to the prey, scaled, of the new positions") {
  Line line({}, 20, {10, 25});
  line.step({kRight, kRight});
  CHECK(line.obs[0] == static_cast<float>(-9.0 * (1.0 / 30.0)));
  CHECK(line.obs[1] == static_cast<float>(6.0 * (1.0 / 30.0)));
  Line literal({.obs_scale = 1}, 20, {10, 25});
  literal.step({kRight, kRight});
  CHECK(literal.obs == Floats{-9, 6});
}

TEST_CASE("neighbours are within a fraction of the length, never oneself") {
  Line line({.length = 32, .neigh_radius = 0.125}, 15, {10, 14, 18.5});
  line.step({kRight, kRight, kRight});
  CHECK(line.neighbours == std::vector<std::uint8_t>{0, 1, 0, 1, 0, 0, 0, 0, 0});
  Line nobody({.neigh_radius = 0}, 15, {10, 10, 10.5});
  nobody.step({kRight, kRight, kRight});
  CHECK(nobody.hears(0, 1));
  CHECK_FALSE(nobody.hears(1, 2));
  Line everyone({.neigh_radius = 1}, 15, {0.5, 29.5});
  everyone.step({kLeft, kRight});
  CHECK(everyone.hears(0, 1));
  CHECK(everyone.hears(1, 0));
}

TEST_CASE("at the edge of earshot the quotient decides, to the last bit") {
  for (const double length : {30.0, 7.3, 11.0, 1e-9, 1e9}) {
    for (const double radius : {0.1, 0.37, 1.0 / 3.0, 0.7}) {
      double distance = radius * length;
      for (int k = 0; k < 4; ++k) distance = std::nextafter(distance, 0.0);
      for (int k = 0; k < 9; ++k, distance = std::nextafter(distance, 2 * length)) {
        if (distance >= length) break;
        CAPTURE(length);
        CAPTURE(radius);
        // Too short a step to move the second agent, while the first is held by the end.
        Line line({.length = length, .step_length = 1e-9, .neigh_radius = radius}, 0,
                  {0, distance});
        line.step({kLeft, kRight});
        CHECK(line.hears(0, 1) == (line.agent(1) / length <= radius));
        CHECK(line.hears(1, 0) == line.hears(0, 1));
      }
    }
  }
}

TEST_CASE("a state is admitted only if it can be one of this environment") {
  Predation env(Params{.num_agents = 2});
  Predation::State state{};
  CHECK(env.admits(state));
  state.agent[1] = 30.5;
  CHECK_FALSE(env.admits(state));
  state = {};
  state.target = -1;
  CHECK_FALSE(env.admits(state));
  state = {};
  state.agent[0] = std::nan("");
  CHECK_FALSE(env.admits(state));
}

TEST_CASE("predation shows places on the line") {
  SoloEnv<Predation> solo(Params{.num_agents = 2});
  solo.env.state().target = 12.25;
  solo.env.state().agent[0] = 30;
  solo.env.state().agent[1] = 0.5;
  CHECK(inspect(solo.env) == Rows{{"agents", {{2}, {30, 0.5}}}, {"prey", {{1}, {12.25}}}});
}

TEST_CASE("sizes follow from the parameters") {
  const Spec spec = Predation(Params{.num_agents = 20, .horizon = 7}).spec();
  CHECK(spec.num_actions() == 2);
  CHECK(spec.obs_size == 20);
  CHECK(spec.horizon == 7);
}

TEST_CASE("saved states that cannot be are refused") {
  check_refused<Predation>({.num_agents = 3}, {8 * 4, 8 * 64}, 0.5);  // agents not there
  for (const double place : {-1e-9, 1.0 + 1e-9, std::nan(""), 1e300}) {
    check_refused<Predation>({.length = 1}, {0, 8, 16}, place);
  }
}

}  // namespace
}  // namespace ascore
