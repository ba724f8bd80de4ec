#include "ascore/envs/harvest.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "saved_state.hpp"
#include "solo_env.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

using Bytes = std::vector<std::uint8_t>;

const std::string kCrowded = "PPP\nPPP\nPPP\nAAA";

// The older profile, where agents may share cells, comes last.
const std::string kField = [] {
  std::string rows;
  for (int row = 0; row < 12; ++row) rows += "PPPPPPPPPAAA\n";
  return rows;
}();

const Variants<Harvest> kVariants({
    {.num_agents = 5},
    {.num_agents = 1, .obs_mode = grid::ObsMode::kRgb, .append_orientation = true},
    {.num_agents = 9, .map = kCrowded, .move_frame = grid::Frame::kAbs, .horizon = 37},
    {.num_agents = 20, .map = "harvest_full", .obs_mode = grid::ObsMode::kLocal},
    {.num_agents = 6,
     .map = kCrowded,
     .obs_mode = grid::ObsMode::kRgb,
     .graph = grid::Graph::kRadius},
    {.num_agents = 6, .map = kCrowded, .obs_mode = grid::ObsMode::kFeatures},
    {.num_agents = 9, .map = kCrowded, .profile = grid::Profile::kFeatures},
    {.num_agents = 5,
     .profile = grid::Profile::kFeatures,
     .move_frame = grid::Frame::kEgo,
     .obs_mode = grid::ObsMode::kFeatures},
    {.num_agents = 100, .map = kField, .graph = grid::Graph::kRadius},
    {.num_agents = 100,
     .map = kField,
     .profile = grid::Profile::kFeatures,
     .obs_mode = grid::ObsMode::kLocal},
    {.num_agents = 9, .map = kCrowded, .fire = true, .fire_cost = 0.1, .hit_cost = 0.3},
    {.num_agents = 8,
     .map = kCrowded,
     .turns = false,
     .start = grid::Start::kFixed,
     .obs_mode = grid::ObsMode::kCentred,
     .append_orientation = true,
     .fire = true},
    {.num_agents = 7,
     .map = "harvest_full",
     .obs_mode = grid::ObsMode::kCentredTurned,
     .fire = true},
    {.num_agents = 100,
     .map = kField,
     .profile = grid::Profile::kFeatures,
     .obs_mode = grid::ObsMode::kCentred,
     .fire = true},
});

// Sites 0..5: three in a row over three in a row, agents far away.
const HarvestParams kPatch{.num_agents = 1, .map = "AAA  P\nAAA  P\n      "};

/// A patch with apples on the given sites alone.
SoloEnv<Harvest> patch(const std::vector<std::size_t>& apples, HarvestParams params = kPatch) {
  SoloEnv<Harvest> solo(params);
  solo.reset();
  auto& state = solo.env.state();
  state.apples = {};
  for (const std::size_t site : apples) state.apples.insert(site);
  REQUIRE(solo.env.admits(state));
  return solo;
}

void stand(SoloEnv<Harvest>& solo, std::initializer_list<std::uint16_t> cells) {
  std::ranges::copy(cells, solo.env.state().agents.cell.all().begin());
}

TEST_CASE("apples grow by how many are around, counted before the step") {
  HarvestParams certain = kPatch;
  certain.regrowth_1 = 1;
  const auto grown = [&](const std::vector<std::size_t>& apples, HarvestParams params) {
    SoloEnv<Harvest> solo = patch(apples, params);
    solo.step({grid::kStay});
    Bytes sites;
    for (std::size_t site = 0; site < 6; ++site) {
      sites.push_back(solo.env.state().apples.contains(site));
    }
    REQUIRE(solo.env.admits(solo.env.state()));
    return sites;
  };
  CHECK(grown({}, certain) == Bytes{0, 0, 0, 0, 0, 0});
  certain.regrowth_2 = certain.regrowth_3 = 0;
  CHECK(grown({0}, certain) == Bytes{1, 1, 0, 1, 1, 0});     // not 2 and 5, though 1 has grown
  CHECK(grown({0, 3}, certain) == Bytes{1, 0, 0, 1, 0, 0});  // all beside have two
  certain.regrowth_1 = 0;
  certain.regrowth_2 = 1;
  CHECK(grown({0, 3}, certain) == Bytes{1, 1, 0, 1, 1, 0});
  certain.profile = grid::Profile::kFeatures;
  certain.regrowth_3 = 1;
  CHECK(grown({0, 3}, certain) == Bytes{1, 1, 0, 1, 1, 1});  // 2 is passed before 4 grows, 5 after
}

TEST_CASE("rates are those of the table") {
  constexpr int kTrials = 40'000;
  const auto rate = [](const std::vector<std::size_t>& apples, std::size_t site) {
    SoloEnv<Harvest> solo = patch(apples);
    const Harvest::State start = solo.env.state();
    int grown = 0;
    for (std::uint64_t trial = 1; trial <= kTrials; ++trial) {
      solo.env.state() = start;
      Rng rng(3, 0, trial, 1, Domain::kDynamics);
      solo.step({grid::kStay}, rng);
      grown += solo.env.state().apples.contains(site) ? 1 : 0;
    }
    return static_cast<double>(grown) / kTrials;
  };
  // Five standard errors: sqrt(p (1 - p) / trials) is 0.00035, 0.0007 and 0.0011.
  CHECK(rate({0}, 2) == 0);
  CHECK(rate({0}, 1) == doctest::Approx(0.005).epsilon(0.35));
  CHECK(rate({0, 3}, 1) == doctest::Approx(0.02).epsilon(0.175));
  CHECK(rate({0, 2, 3}, 1) == doctest::Approx(0.05).epsilon(0.11));
  CHECK(rate({0, 2, 3, 4, 5}, 1) == doctest::Approx(0.05).epsilon(0.11));
}

TEST_CASE("an apple is worth one to whoever steps on it, and not under anybody does one grow") {
  SoloEnv<Harvest> solo = patch({1, 3}, {.num_agents = 2,
                                         .map = kPatch.map,
                                         .move_frame = grid::Frame::kAbs,
                                         .regrowth_1 = 1,
                                         .regrowth_2 = 1,
                                         .regrowth_3 = 1});
  stand(solo, {0, 17});  // on site 0, beside the apple of site 1
  solo.step({grid::kMoveRight, grid::kStay});
  CHECK(solo.reward == std::vector<float>{1, 0});
  CHECK_FALSE(solo.env.state().apples.contains(1));  // its agent stands there
  CHECK(solo.env.state().apples.contains(0));        // left behind, beside site 3
  CHECK(solo.env.admits(solo.env.state()));
}

TEST_CASE("profile features: turning does not eat") {
  SoloEnv<Harvest> solo =
      patch({0, 1, 2}, {.num_agents = 2, .map = kPatch.map, .profile = grid::Profile::kFeatures});
  stand(solo, {0, 2});
  solo.step({grid::kTurnClockwise, grid::kStay});
  CHECK(solo.reward == std::vector<float>{0, 1});
}

TEST_CASE("fire costs who fires and whom it hits, and ends at the first agent") {
  const auto paid = [](grid::Profile profile, const std::vector<std::int32_t>& action) {
    SoloEnv<Harvest> solo({.num_agents = 4, .map = "PPPPPPPA\n", .profile = profile, .fire = true});
    solo.reset();
    solo.env.state().apples = {};
    stand(solo, {0, 2, 3, 5});
    std::ranges::copy(
        std::array<std::uint8_t, 4>{grid::kRight, grid::kUp, grid::kLeft, grid::kLeft},
        solo.env.state().agents.orientation.all().begin());
    solo.step(action);
    return solo.reward;
  };
  using Paid = std::vector<float>;
  constexpr auto kFire = grid::first_beam(true), kStay = std::int32_t{grid::kStay};
  const std::vector<std::int32_t> one{kFire, kStay, kStay, kStay}, two{kFire, kStay, kFire, kStay};
  CHECK(paid(grid::Profile::kSsd, one) == Paid{-1, -50, 0, 0});
  CHECK(paid(grid::Profile::kSsd, two) == Paid{-1, -100, -1, 0});
  CHECK(paid(grid::Profile::kFeatures, one) == Paid{-1, -50, -50, -50});
  CHECK(paid(grid::Profile::kFeatures, two) == Paid{-51, -100, -51, -50});
}

TEST_CASE("beams of a crowd hit the same agents as those of few") {
  HarvestParams params{.num_agents = 66, .map = "", .fire = true};
  for (int row = 0; row < 10; ++row) params.map += "PPPPPPPPPP\n";
  params.map += "AAAAAAAAAA";
  SoloEnv<Harvest> crowd(params);
  params.num_agents = 3;
  SoloEnv<Harvest> few(params);
  for (const std::uint16_t other : std::vector<std::uint16_t>{81, 83, 90, 91, 92, 93, 101, 103}) {
    CAPTURE(other);
    const auto put = [&](SoloEnv<Harvest>& solo) {
      solo.reset();
      solo.env.state().apples = {};
      const auto agents = solo.env.state().agents.standing();
      for (std::size_t i = 3; i < solo.agents; ++i)
        agents.cell[i] = static_cast<std::uint16_t>(i - 3);
      agents.cell[0] = 82;
      agents.orientation[0] = grid::kDown;
      agents.cell[1] = other;
      agents.cell[2] = 102;
      std::vector<std::int32_t> action(solo.agents, grid::kStay);
      action[0] = grid::first_beam(true);
      solo.step(action);
      return std::vector<float>(solo.reward.begin(), solo.reward.begin() + 3);
    };
    CHECK(put(crowd) == put(few));
  }
}

TEST_CASE("without turns, agents have no such actions; at fixed places nothing is drawn") {
  SoloEnv<Harvest> solo({.num_agents = 2,
                         .map = "PPPA\n",
                         .turns = false,
                         .start = grid::Start::kFixed,
                         .fire = true});
  CHECK(solo.env.spec().num_actions() == 6);
  CHECK(solo.env.spec().action_names.back() == "fire");
  Rng rng = SoloEnv<Harvest>::stream(0), untouched = rng;
  solo.env.reset(rng, solo.view({}));
  CHECK(rng.below(1000) == untouched.below(1000));
  const auto& agents = solo.env.state().agents;
  CHECK(agents.cell.all()[0] == 2);
  CHECK(agents.cell.all()[1] == 1);
  solo.step({grid::first_beam(false), grid::kStay});
  CHECK(solo.reward == std::vector<float>{-1, -50});  // a side lane begins beside the agent
  CHECK(agents.orientation.all()[0] == grid::kUp);
}

TEST_CASE("planes around an agent have the whole map, turned or not") {
  const auto ones = [](grid::ObsMode mode) {
    SoloEnv<Harvest> solo({.num_agents = 2, .map = "P@A\nPP ", .obs_mode = mode});
    solo.reset();
    stand(solo, {0, 4});
    auto& orientation = solo.env.state().agents.orientation;
    orientation[0] = grid::kRight;
    orientation[1] = grid::kUp;
    solo.step({grid::kStay, grid::kStay});
    std::vector<std::size_t> at;
    for (std::size_t k = 0; k < solo.obs.size() / 2; ++k) {
      if (solo.obs[k] != 0) at.push_back(k);
    }
    return at;
  };
  using Ones = std::vector<std::size_t>;
  // 3 rows of 5 a plane: itself in the middle, the other below on the right, the wall, the apple.
  CHECK(ones(grid::ObsMode::kCentred) == Ones{7, 15 + 13, 30 + 8, 45 + 9});
  // 5 rows of 5; what is on the right lies ahead, what is below on the right.
  CHECK(ones(grid::ObsMode::kCentredTurned) == Ones{12, 25 + 8, 50 + 7, 75 + 2});
}

TEST_CASE("planes follow the state, step by step") {
  SoloEnv<Harvest> solo({.num_agents = 3});
  solo.reset();
  Rng chance(1, 1, 1, 1, Domain::kAction);
  for (std::uint64_t step = 1; step <= 400; ++step) {
    std::vector<std::int32_t> action;
    for (int i = 0; i < 3; ++i) action.push_back(static_cast<std::int32_t>(chance.below(7)));
    Rng rng = SoloEnv<Harvest>::stream(step);
    solo.step(action, rng);
    const auto& state = solo.env.state();
    REQUIRE(solo.env.admits(state));
    Bytes expected(4 * 266 + 12);
    std::vector<std::size_t> cells;
    for (std::size_t c = 0, site = 0; c < 266; ++c) {
      if (HarvestParams{}.parse().cells()[c] != 'A') continue;
      expected[c] = state.apples.contains(site++);
    }
    for (std::size_t i = 0; i < 3; ++i) {
      expected[266 * (i + 1) + state.agents.cell[i]] = 1;
      expected[4 * 266 + 4 * i + state.agents.orientation[i]] = 1;
    }
    REQUIRE(solo.obs == expected);
  }
}

TEST_CASE("states that cannot be are refused") {
  const SoloEnv<Harvest> solo = patch({0, 1});
  const auto refused = [&](auto spoil) {
    Harvest::State state = solo.env.state();
    spoil(state);
    return !solo.env.admits(state);
  };
  CHECK(refused([](auto& s) { s.agents.cell[0] = 18; }));
  CHECK(refused([](auto& s) { s.agents.orientation[0] = 4; }));
  CHECK(refused([](auto& s) { s.apples.insert(6); }));
  CHECK_FALSE(refused([](auto&) {}));
  SoloEnv<Harvest> walled({.num_agents = 2});
  walled.reset();
  Harvest::State state = walled.env.state();
  state.agents.cell[0] = 0;
  CHECK_FALSE(walled.env.admits(state));
  state.agents.cell[0] = state.agents.cell[1];
  CHECK_FALSE(walled.env.admits(state));
}

TEST_CASE("hearing by distance") {
  SoloEnv<Harvest> solo({.num_agents = 3,
                         .map = "PPPPA\nPPPPP",
                         .graph = grid::Graph::kRadius,
                         .neigh_radius = 2,
                         .neigh_metric = grid::Metric::kManhattan});
  solo.reset();
  stand(solo, {0, 2, 6});
  solo.step({grid::kStay, grid::kStay, grid::kStay});
  CHECK(solo.neighbours == Bytes{0, 1, 1, 1, 0, 1, 1, 1, 0});
  stand(solo, {0, 3, 6});
  solo.step({grid::kStay, grid::kStay, grid::kStay});
  CHECK(solo.neighbours == Bytes{0, 0, 1, 0, 0, 0, 1, 0, 0});
}

TEST_CASE("saved states that cannot be are refused") {
  constexpr std::size_t kFacing = kMaxAgents * sizeof(std::uint16_t);
  constexpr std::size_t kApples = kFacing + kMaxAgents;
  // Entries of agents that are not there must be zero: 5 agents share a vector with three such, 9
  // have more than a vector holds.
  check_refused<Harvest>({.num_agents = 5}, {2 * 5, 2 * 7, 2 * 63}, std::uint16_t{0x7FFF});
  check_refused<Harvest>({.num_agents = 9}, {2 * 9, 2 * 63}, std::uint16_t{1});
  check_refused<Harvest>({.num_agents = 5}, {kFacing + 5, kFacing + 63}, std::uint8_t{1});
  check_refused<Harvest>({}, {0, 2}, std::uint16_t{0});       // a wall
  check_refused<Harvest>({}, {0, 2}, std::uint16_t{7 * 38});  // beyond the map
  check_refused<Harvest>({}, {kFacing, kFacing + 1}, std::uint8_t{4});
  check_refused<Harvest>({}, {kApples + 7}, std::uint8_t{0xFF});
  check_refused<Harvest>({}, {kApples + 128}, std::uint8_t{1});
}

}  // namespace
}  // namespace ascore
