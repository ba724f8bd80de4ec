#include "ascore/envs/cleanup.hpp"

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
using Profile = grid::Profile;
constexpr auto kClean = grid::kClean, kStay = grid::kStay;

const std::string kCrowded = "PPPP\nHRHR\nRSRS\nBBBB\nPPPP";

const std::string kField = [] {
  std::string rows;
  for (int row = 0; row < 12; ++row) rows += "PPPPPPPPPHRB\n";
  return rows;
}();

// The older profile, where agents may share cells, comes last.
const Variants<Cleanup> kVariants({
    {},
    {.num_agents = 2, .obs_mode = grid::ObsMode::kRgb, .graph = grid::Graph::kRadius},
    {.num_agents = 8, .map = kCrowded, .move_frame = grid::Frame::kAbs, .horizon = 37},
    {.num_agents = 8, .map = "cleanup_mid", .obs_mode = grid::ObsMode::kLocal},
    {.num_agents = 7,
     .map = kCrowded,
     .obs_mode = grid::ObsMode::kRgb,
     .append_orientation = true,
     .graph = grid::Graph::kRadius},
    {.num_agents = 10,
     .map = "cleanup_full",
     .obs_mode = grid::ObsMode::kFeatures,
     .waste_probability = 1,
     .beam_length = 64},
    {.num_agents = 8,
     .map = kCrowded,
     .profile = Profile::kFeatures,
     .move_frame = grid::Frame::kEgo},
    {.profile = Profile::kFeatures,
     .waste_mode = CleanupParams::WasteMode::kOnce,
     .obs_mode = grid::ObsMode::kRgb},
    {.num_agents = 100, .map = kField, .obs_mode = grid::ObsMode::kLocal},
    {.num_agents = 100,
     .map = kField,
     .profile = Profile::kFeatures,
     .obs_mode = grid::ObsMode::kFeatures,
     .graph = grid::Graph::kRadius},
    {.num_agents = 8, .map = kCrowded, .fire = true, .waste_stops_fire = false},
    {.num_agents = 2,
     .map = "cleanup_lio7",
     .turns = false,
     .start = grid::Start::kFixed,
     .obs_mode = grid::ObsMode::kCentred,
     .threshold_depletion = 0.6,
     .apple_probability = 0.5},
    {.num_agents = 5,
     .map = "cleanup_full",
     .obs_mode = grid::ObsMode::kCentredTurned,
     .append_orientation = true,
     .fire = true},
    {.num_agents = 100,
     .map = kField,
     .profile = Profile::kFeatures,
     .obs_mode = grid::ObsMode::kCentred,
     .fire = true},
    {.num_agents = 2, .fire = true, .weights = "0.7 2"},
});

// A river of seven rows and five columns; below it the orchard, and where agents start.
constexpr const char* kRiver = "RRRRR\nRRRRR\nRRRRR\nRRRRR\nRRRRR\nRRRRR\nRRRRR\nBBBBB\nPPPPP";

/// A river with waste on the given cells and agents where a test wants them, facing up. With a
/// threshold of 1e-9 nothing spawns unless there is no waste at all.
struct River : SoloEnv<Cleanup> {
  River(const std::vector<std::uint16_t>& agents_at, const std::vector<std::size_t>& waste,
        CleanupParams params = {})
      : SoloEnv([&] {
          params.num_agents = static_cast<int>(agents_at.size());
          params.map = kRiver;
          if (params.threshold_depletion == 0.4) params.threshold_depletion = 1e-9;
          return params;
        }()) {
    reset();
    auto& state = env.state();
    state.waste = {};
    for (const std::size_t cell : waste) state.waste.insert(cell);  // the river comes first
    state.num_waste = static_cast<std::uint16_t>(waste.size());
    state.apples = {};
    std::ranges::copy(agents_at, state.agents.cell.all().begin());
    std::ranges::fill(state.agents.orientation.all(), grid::kUp);
  }

  std::vector<std::size_t> waste() const {
    std::vector<std::size_t> cells;
    env.state().waste.for_each(1, [&](std::size_t site) { cells.push_back(site); });
    return cells;
  }
};

using Waste = std::vector<std::size_t>;

TEST_CASE("cleaning takes the first waste of three lanes, five cells long") {
  // The agent stands on cell 32 (row 6, column 2), facing up. Ahead: 27, 22, 17, 12, 7. Beside:
  // 33 and 31, from there up to 13 and 11.
  const auto left = [](const Waste& waste, std::uint8_t orientation = grid::kUp) {
    River river({32}, waste);
    river.env.state().agents.orientation[0] = orientation;
    river.step({kClean});
    return river.waste();
  };
  CHECK(left({27, 22, 34}) == Waste{22, 34});
  CHECK(left({7, 34}) == Waste{34});
  CHECK(left({2, 34}) == Waste{2, 34});        // the sixth cell
  CHECK(left({31, 33, 34}) == Waste{34});      // beside the agent
  CHECK(left({26, 31, 34}) == Waste{26, 34});  // waste shields what lies behind
  CHECK(left({11, 13, 34}) == Waste{34});
  CHECK(left({6, 8, 34}) == Waste{6, 8, 34});
  CHECK(left({32, 34}) == Waste{32, 34});  // not what it stands on
  CHECK(left({0, 4, 25, 29}) == Waste{0, 4, 25, 29});
  CHECK(left({33, 34, 27, 22}, grid::kRight) == Waste{22, 34});
  CHECK(left({1, 6, 11, 16, 21, 26, 31, 33}, grid::kDown) == Waste{1, 6, 11, 16, 21, 26});
}

TEST_CASE("agents end a lane, their own cell included") {
  const auto left = [](std::uint16_t other, const Waste& waste) {
    River river({32, other}, waste);
    river.step({kClean, kStay});
    return river.waste();
  };
  CHECK(left(27, {22, 34}) == Waste{22, 34});
  CHECK(left(27, {27, 34}) == Waste{34});
  CHECK(left(31, {26, 34}) == Waste{26, 34});
  CHECK(left(30, {26, 34}) == Waste{34});
}

TEST_CASE("beams of a crowd meet the same agents and the same waste as those of few") {
  CleanupParams params{.num_agents = 66, .horizon = 1'000, .threshold_depletion = 1e-9};
  params.map.clear();
  for (int row = 0; row < 8; ++row) params.map += "PPPPPPPPPP\n";
  params.map += "HHHHHHHHHH\nRRRRRRRRRB";
  SoloEnv<Cleanup> crowd(params);
  params.num_agents = 2;
  SoloEnv<Cleanup> few(params);
  crowd.reset();
  few.reset();
  // Agent 0 below the river faces it, agent 1 stands on its middle lane; all others are far above.
  const auto put = [](SoloEnv<Cleanup>& solo, std::uint16_t other) {
    const auto agents = solo.env.state().agents.standing();
    for (std::size_t i = 2; i < solo.agents; ++i)
      agents.cell[i] = static_cast<std::uint16_t>(i - 2);
    agents.cell[0] = 75;
    agents.cell[1] = other;
    agents.orientation[0] = grid::kDown;
  };
  for (const std::uint16_t other : std::vector<std::uint16_t>{85, 74, 76, 84, 79}) {
    CAPTURE(other);
    const auto start_many = crowd.env.state(), start_few = few.env.state();
    put(crowd, other);
    put(few, other);
    std::vector<std::int32_t> action(66, kStay);
    action[0] = kClean;
    crowd.step(action);
    few.step({kClean, kStay});
    CHECK(crowd.env.state().num_waste == few.env.state().num_waste);
    for (std::size_t site = 0; site < 19; ++site) {
      CHECK(crowd.env.state().waste.contains(site) == few.env.state().waste.contains(site));
    }
    crowd.env.state() = start_many;
    few.env.state() = start_few;
  }
}

TEST_CASE("walls end a lane") {
  SoloEnv<Cleanup> solo({.num_agents = 1, .map = "RHR\nRRR\n@@@\nRRR\nRHR\nRPR\nBBB"});
  solo.reset();
  solo.env.state().agents.cell[0] = 16;
  solo.env.state().agents.orientation[0] = grid::kUp;
  solo.step({kClean});
  CHECK(solo.obs[1] == 1);
  CHECK(solo.obs[13] == 0);
}

TEST_CASE("who cleans later sees what is left") {
  // 27 lies on the left lane of one agent and on the right lane of the other, 22 behind it.
  River one({33, 31}, {27, 22, 4});
  one.step({kClean, kStay});
  CHECK(one.waste() == Waste{4, 22});
  River both({33, 31}, {27, 22, 4});
  both.step({kClean, kClean});
  CHECK(both.waste() == Waste{4});
}

TEST_CASE("waste ends a lane of fire, unless it is told not to or somebody cleans it first") {
  constexpr auto kFire = kClean + 1;
  const auto hit = [](bool stops, Profile profile) {
    // Agent 0 fires up from 32; there is waste on 22 and agent 1 on 17.
    River river({32, 17}, {22}, {.profile = profile, .fire = true, .waste_stops_fire = stops});
    river.step({kFire, kStay});
    CHECK(river.waste() == Waste{22});
    CHECK(river.reward[0] == -1);
    return river.reward[1] == -50;
  };
  CHECK_FALSE(hit(true, Profile::kSsd));
  CHECK(hit(false, Profile::kSsd));
  CHECK(hit(true, Profile::kFeatures));
  // Agent 2 cleans 22 from the left, before agent 0 or after it: both happen.
  int hits = 0;
  for (std::uint64_t step = 1; step <= 100; ++step) {
    River river({32, 17, 20}, {22}, {.fire = true});
    river.env.state().agents.orientation[2] = grid::kRight;
    Rng rng = SoloEnv<Cleanup>::stream(step);
    river.step({kFire, kStay, kClean}, rng);
    CHECK(river.reward[2] == 0);
    hits += river.reward[1] == -50 ? 1 : 0;
  }
  CHECK(hits > 25);
  CHECK(hits < 75);
}

TEST_CASE("profile features: the beam takes all waste up to a wall, agents or not") {
  const auto left = [](const Waste& waste) {
    River river({32, 27}, waste, {.profile = Profile::kFeatures});
    river.step({kClean, kStay});
    return river.waste();
  };
  CHECK(left({32, 27, 22, 17, 12, 7, 2, 34}) == Waste{2, 34});
  CHECK(left({31, 26, 21, 16, 11, 6, 1, 33, 8, 3}) == Waste{1, 3});
}

TEST_CASE("apples grow below the threshold, faster the cleaner the river is") {
  const auto rate = [](std::size_t waste) {
    std::vector<std::size_t> cells;
    for (std::size_t cell = 0; cell < waste; ++cell) cells.push_back(cell);
    River river({40}, cells, {.threshold_depletion = 0.4000001, .waste_probability = 0});
    const Cleanup::State start = river.env.state();
    std::size_t grown = 0;
    constexpr std::uint64_t kTrials = 20'000;
    for (std::uint64_t trial = 1; trial <= kTrials; ++trial) {
      river.env.state() = start;
      Rng rng(3, 0, trial, 1, Domain::kDynamics);
      river.step({kStay}, rng);
      grown += river.env.state().apples.size();
    }
    return static_cast<double>(grown) / (5.0 * kTrials);
  };
  // Standard error of 100,000 draws at 0.05: 0.0007.
  CHECK(rate(0) == doctest::Approx(0.05).epsilon(0.07));
  CHECK(rate(7) == doctest::Approx(0.025).epsilon(0.1));
  CHECK(rate(14) < 1e-4);
  CHECK(rate(20) == 0);
}

TEST_CASE("at most one cell takes waste, and in scan it is one nearly always") {
  const auto spawned = [](CleanupParams::WasteMode mode, Profile profile, std::size_t waste) {
    std::vector<std::size_t> cells;
    for (std::size_t cell = 0; cell < waste; ++cell) cells.push_back(cell);
    River river({40}, cells, {.profile = profile, .waste_mode = mode, .threshold_depletion = 0.41});
    const Cleanup::State start = river.env.state();
    std::vector<int> at(35);
    for (std::uint64_t trial = 1; trial <= 4000; ++trial) {
      river.env.state() = start;
      Rng rng(3, 0, trial, 1, Domain::kDynamics);
      river.step({kStay}, rng);
      const std::size_t now = river.waste().size();
      REQUIRE(now >= waste);
      REQUIRE(now <= waste + 1);
      for (const std::size_t cell : river.waste()) {
        if (cell >= waste) ++at[cell];
      }
    }
    return at;
  };
  const auto sum = [](const std::vector<int>& at) {
    int total = 0;
    for (const int count : at) total += count;
    return total;
  };
  using Mode = CleanupParams::WasteMode;
  const std::vector<int> scan = spawned(Mode::kScan, Profile::kSsd, 10);
  CHECK(sum(scan) == 4000);
  for (std::size_t cell = 10; cell < 35; ++cell) CHECK(scan[cell] > 100);  // 160 expected
  const std::vector<int> once = spawned(Mode::kOnce, Profile::kSsd, 10);
  CHECK(sum(once) == doctest::Approx(2000).epsilon(0.08));
  for (std::size_t cell = 10; cell < 35; ++cell) CHECK(once[cell] > 40);  // 80 expected
  const std::vector<int> rows = spawned(Mode::kScan, Profile::kFeatures, 10);
  CHECK(sum(rows) == 4000);
  CHECK(rows[10] == doctest::Approx(2000).epsilon(0.08));
  CHECK(rows[11] == doctest::Approx(1000).epsilon(0.15));
  const std::vector<int> first = spawned(Mode::kOnce, Profile::kFeatures, 10);
  CHECK(sum(first) == first[10]);
  CHECK(sum(spawned(Mode::kScan, Profile::kSsd, 15)) == 0);  // 15 of 35 is above 0.41
}

TEST_CASE("planes follow the state, step by step") {
  SoloEnv<Cleanup> solo;
  solo.reset();
  const GridMap map = CleanupParams{}.parse();
  Rng chance(1, 1, 1, 1, Domain::kAction);
  bool seen_apple = false;
  for (std::uint64_t step = 1; step <= 2000; ++step) {
    std::vector<std::int32_t> action;
    for (int i = 0; i < 2; ++i) {
      action.push_back(static_cast<std::int32_t>(std::min(chance.below(14), std::uint64_t{7})));
    }
    Rng rng = SoloEnv<Cleanup>::stream(step);
    solo.step(action, rng);
    const auto& state = solo.env.state();
    REQUIRE(solo.env.admits(state));
    Bytes expected(800);
    for (std::size_t c = 0, river = 0, orchard = 0; c < 198; ++c) {
      const char tile = map.cells()[c];
      if (tile == 'H' || tile == 'R') expected[c] = state.waste.contains(river++);
      if (tile == 'B') expected[198 + c] = state.apples.contains(orchard++);
    }
    seen_apple |= state.apples.size() > 0;
    for (std::size_t i = 0; i < 2; ++i) {
      expected[198 * (i + 2) + state.agents.cell[i]] = 1;
      expected[4 * 198 + 4 * i + state.agents.orientation[i]] = 1;
    }
    REQUIRE(solo.obs == expected);
  }
  CHECK(seen_apple);
}

TEST_CASE("a window turns with its agent") {
  // Waste two cells to the left of the agent and one up, an apple to its right.
  SoloEnv<Cleanup> solo({.num_agents = 1,
                         .map = "@@@@@@\n@H  S@\n@  PB@\n@@@@@@",
                         .obs_mode = grid::ObsMode::kLocal,
                         .threshold_depletion = 1e-9});
  solo.reset();
  auto& state = solo.env.state();
  state.agents.orientation[0] = grid::kUp;
  state.apples.insert(0);
  const auto colour = [&](std::size_t row, std::size_t col) {
    const std::size_t at = 3 * (15 * row + col);
    return std::array{solo.obs[at], solo.obs[at + 1], solo.obs[at + 2]};
  };
  using Rgb = std::array<std::uint8_t, 3>;
  constexpr Rgb kApple{0, 255, 0}, kWaste{99, 156, 194}, kStream{113, 75, 24}, kSelf{0, 0, 255},
      kWall{180, 180, 180}, kNothing{0, 0, 0};
  solo.step({kStay});
  CHECK(colour(7, 7) == kSelf);
  CHECK(colour(7, 8) == kApple);
  CHECK(colour(6, 5) == kWaste);
  CHECK(colour(6, 8) == kStream);
  CHECK(colour(5, 7) == kWall);
  CHECK(colour(4, 7) == kNothing);    // outside
  solo.step({grid::kTurnClockwise});  // now it faces the apple
  CHECK(colour(7, 7) == kSelf);
  CHECK(colour(6, 7) == kApple);
  CHECK(colour(9, 6) == kWaste);
  CHECK(colour(6, 6) == kStream);
}

TEST_CASE("states that cannot be are refused") {
  const River river({32}, {1, 2});
  const auto refused = [&](auto spoil) {
    Cleanup::State state = river.env.state();
    spoil(state);
    return !river.env.admits(state);
  };
  CHECK_FALSE(refused([](auto&) {}));
  CHECK(refused([](auto& s) { s.num_waste = 3; }));
  CHECK(refused([](auto& s) { s.waste.insert(3); }));
  CHECK(refused([](auto& s) {  // not in the river, though counted
    s.waste.insert(200);
    ++s.num_waste;
  }));
  CHECK(refused([](auto& s) { s.apples.insert(5); }));
  CHECK(refused([](auto& s) { s.agents.cell[0] = 45; }));
}

TEST_CASE("saved states that cannot be are refused") {
  constexpr std::size_t kFacing = kMaxAgents * sizeof(std::uint16_t);
  constexpr std::size_t kWaste = kFacing + kMaxAgents + sizeof(grid::SiteSet);
  constexpr std::size_t kNumWaste = kWaste + sizeof(grid::SiteSet);
  check_refused<Cleanup>({}, {2 * 2, 2 * 63}, std::uint16_t{0x7FFF});  // agents not there
  check_refused<Cleanup>({}, {kFacing + 2, kFacing + 63}, std::uint8_t{1});
  check_refused<Cleanup>({}, {kNumWaste}, std::uint16_t{0xFFFF});
  check_refused<Cleanup>({}, {kWaste + 128}, std::uint8_t{1});
}

}  // namespace
}  // namespace ascore
