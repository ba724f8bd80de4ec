#include "ascore/envs/predation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "ascore/vec_env.hpp"
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
    {.num_agents = 65, .approach = Params::Approach::kDistance},
    {.num_agents = 5, .length = 2, .obs_mode = Params::ObsMode::kNearest, .nearest = 4},
    {.num_agents = 300, .obs_mode = Params::ObsMode::kNearest},
    {.num_agents = 3, .weights = "0.5 0 1.7"},
});

struct Line : SoloEnv<Predation> {
  Line(Params params, double target, const std::vector<double>& positions)
      : SoloEnv(with_agents(params, positions.size())) {
    env.state().target = target;
    std::ranges::copy(positions, env.state().agent.all().begin());
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

TEST_CASE("weights are factors on the rewards of who approaches") {
  const std::vector<double> places{10, 20, 11};
  const Params params{.weights = "0.5 1.5 0.1"};
  Line all(params, 15, places);
  all.step({kRight, kLeft, kRight});
  CHECK(all.reward == Floats{-0.5F, -1.5F, -0.1F});
  Line none(params, 15, places);
  none.step({kLeft, kRight, kLeft});
  CHECK(none.reward == Floats{-3, -3, -3});
  Line two(params, 15, places);
  two.step({kRight, kRight, kRight});
  CHECK(two.reward == Floats{-2, 0, static_cast<float>(-4 * 0.1)});
}

TEST_CASE("there is a weight for each agent, and each is a number from 0 on") {
  CHECK(read_weights("equal", 3).empty());
  CHECK(read_weights(" 0.5  2 ", 2) == std::vector<double>{0.5, 2});
  const auto with = [](std::string weights) {
    return Params{.num_agents = 2, .weights = std::move(weights)};
  };
  CHECK_NOTHROW(validate(with("1 2.5")));
  CHECK_THROWS_WITH(validate(with("1 2 3")),
                    "weights has 3 numbers; num_agents = 2 needs one for each agent");
  for (const std::string word : {"x", "-1", "nan", "1e7", "1,2"}) {
    CHECK_THROWS_WITH(validate(with("1 " + word)),
                      ("weights has \"" + word +
                       "\", want a number in 0..1e+06 for each agent, with spaces between them")
                          .c_str());
  }
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

/// What an agent observes of its nearest others, by sorting all of them.
Floats nearest_by_sorting(const Params& params, double target, const std::vector<double>& place,
                          std::size_t self) {
  std::vector<std::size_t> others;
  for (std::size_t j = 0; j < place.size(); ++j) {
    if (j != self) others.push_back(j);
  }
  std::ranges::stable_sort(others, {},
                           [&](std::size_t j) { return std::abs(place[j] - place[self]); });
  others.insert(others.begin(), self);
  Floats row;
  for (std::size_t r = 0; r <= static_cast<std::size_t>(params.nearest); ++r) {
    row.push_back(static_cast<float>((place[others[r]] - target) * params.obs_scale));
  }
  return row;
}

/// Checks every agent's view after a step in which nobody moves visibly.
void check_nearest(Params params, const std::vector<double>& places) {
  params.obs_mode = Params::ObsMode::kNearest;
  params.step_length = 1e-9;
  Line line(params, 11, places);
  std::vector<std::int32_t> action(places.size());
  for (std::size_t i = 0; i < action.size(); ++i) action[i] = i % 2 == 0 ? kLeft : kRight;
  line.step(action);
  std::vector<double> now(places.size());
  for (std::size_t i = 0; i < now.size(); ++i) now[i] = line.agent(i);
  const auto entries = static_cast<std::size_t>(params.nearest) + 1;
  for (std::size_t i = 0; i < now.size(); ++i) {
    CAPTURE(i);
    const auto row = line.obs.begin() + static_cast<std::ptrdiff_t>(i * entries);
    REQUIRE(Floats(row, row + static_cast<std::ptrdiff_t>(entries)) ==
            nearest_by_sorting(params, 11, now, i));
  }
}

TEST_CASE("nearest: oneself, then the nearest others, of equally near ones the lowest index") {
  Line line({.obs_scale = 1, .obs_mode = Params::ObsMode::kNearest, .nearest = 3}, 20,
            {10, 12, 8, 30, 10});
  line.step({kRight, kRight, kRight, kRight, kRight});
  CHECK(line.obs == Floats{-9,  -9, -7, -11,  //
                           -7,  -9, -9, -11,  //
                           -11, -9, -9, -7,   //
                           10,  -7, -9, -9,   //
                           -9,  -9, -7, -11});
}

TEST_CASE("nearest: whoever sorts all agents finds the same ones") {
  Rng rng(5, 0, 0, 0, Domain::kAction);
  for (const std::size_t agents : {2, 3, 10, 64, 65, 150}) {
    for (const int k : {1, 2, 5, 64}) {
      if (static_cast<std::size_t>(k) >= agents) continue;
      CAPTURE(agents);
      CAPTURE(k);
      std::vector<double> apart(agents), few_places(agents), at_ends(agents), tiny(agents);
      for (std::size_t i = 0; i < agents; ++i) {
        apart[i] = 30 * rng.u01();
        few_places[i] = static_cast<double>(rng.below(7));
        at_ends[i] = rng.below(3) == 0 ? 30 * rng.u01() : 30.0 * static_cast<double>(rng.below(2));
        // Different places whose distances from the others round to the same.
        tiny[i] = rng.below(2) == 0 ? 30 * rng.u01() : 1e-18 * static_cast<double>(rng.below(9));
      }
      for (const auto& places : {apart, few_places, at_ends, tiny}) {
        check_nearest({.nearest = k}, places);
      }
    }
  }
}

TEST_CASE("among many agents, who hears whom is kept where somebody asks, and for all alike") {
  const Params params{.num_agents = 100, .neigh_radius = 0.05};
  VecEnv<Predation> silent(2, 3, 0, 1, params), asked(2, 3, 0, 1, params);
  CHECK(silent.neighbours().empty());
  asked.keep_neighbours();
  CHECK(asked.neighbours().size() == 2 * 100 * 100);
  silent.reset();
  asked.reset();
  CHECK_THROWS_AS(silent.keep_neighbours(), std::invalid_argument);
  const std::vector<std::int32_t> action(2 * 100, kRight);
  for (int step = 0; step < 40; ++step) {
    silent.step(action);
    asked.step(action);
    REQUIRE(std::ranges::equal(silent.obs(), asked.obs()));
    REQUIRE(std::ranges::equal(silent.reward(), asked.reward()));
    for (std::size_t b = 0; b < 2; ++b) {
      const auto& x = asked.env(b).state().agent;
      for (std::size_t i = 0; i < 100; ++i) {
        for (std::size_t j = 0; j < 100; ++j) {
          const bool near = i != j && std::abs(x[i] - x[j]) / 30 <= 0.05;
          REQUIRE(asked.neighbours()[(b * 100 + i) * 100 + j] == near);
        }
      }
    }
  }
}

TEST_CASE("as many agents as there may be") {
  VecEnv<Predation> batch(1, 3, 0, 1,
                          {.num_agents = kMaxCrowd, .obs_mode = Params::ObsMode::kNearest});
  batch.reset();
  const std::vector<std::int32_t> action(kMaxCrowd, kLeft);
  for (int step = 0; step < 2; ++step) batch.step(action);
  const Bytes saved = batch.save_state();
  batch.step(action);
  const Floats after(batch.obs().begin(), batch.obs().end());
  batch.load_state(saved);
  batch.step(action);
  CHECK(std::ranges::equal(batch.obs(), after));
  const std::size_t last = kMaxCrowd * sizeof(double);  // behind the prey
  for (const double place : {-1.0, 30.5, std::nan("")}) {
    CHECK(complaint(batch, forged(saved, kStatesAt + last, place)) ==
          "state of environment 0 is impossible in predation-v1");
  }
}

TEST_CASE("states of earlier versions, which know no modes of observation, are taken") {
  VecEnv<Predation> plain(1, 3, 0, 1, {});
  const auto owner = [](const auto& batch) {
    const Bytes bytes = batch.save_state();
    return std::string(bytes.begin() + 2 * sizeof(std::uint64_t),
                       bytes.begin() + static_cast<std::ptrdiff_t>(payload_at(bytes)));
  };
  CHECK(owner(plain) ==
        "ascore state 2, predation-v1, num_envs = 1, first_env = 0, num_agents = 8, horizon = 30, "
        "length = 30, step_length = 1, approach = sign, mixed = literal, obs_scale = "
        "0.03333333333333333, neigh_radius = 0.1");
  VecEnv<Predation> other(1, 3, 0, 1, {.obs_mode = Params::ObsMode::kNearest, .nearest = 3});
  CHECK(owner(other).ends_with("neigh_radius = 0.1, obs_mode = nearest, nearest = 3"));
  VecEnv<Predation> weighed(1, 3, 0, 1, {.num_agents = 1, .weights = "0.5"});
  CHECK(owner(weighed).ends_with("neigh_radius = 0.1, weights = \"0.5\""));
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
  CHECK(spec.views == 1);
  const Spec nearest =
      Predation(Params{.num_agents = 20, .obs_mode = Params::ObsMode::kNearest, .nearest = 5})
          .spec();
  CHECK(nearest.views == 20);
  CHECK(nearest.obs_size == 6);
}

TEST_CASE("saved states that cannot be are refused") {
  check_refused<Predation>({.num_agents = 3}, {8 * 4, 8 * 64}, 0.5);  // agents not there
  for (const double place : {-1e-9, 1.0 + 1e-9, std::nan(""), 1e300}) {
    check_refused<Predation>({.length = 1}, {0, 8, 16}, place);
  }
}

}  // namespace
}  // namespace ascore
