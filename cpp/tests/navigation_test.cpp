#include "ascore/envs/navigation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "inspected.hpp"
#include "saved_state.hpp"
#include "solo_env.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

using Params = NavigationParams;
using Cell = Navigation::Cell;
using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

constexpr std::int32_t kStay = Navigation::kStay, kLeft = Navigation::kLeft,
                       kRight = Navigation::kRight, kDown = Navigation::kDown,
                       kUp = Navigation::kUp;

const Variants<Navigation> kVariants({
    {},
    {.num_agents = 64,
     .size = 32,
     .landmarks = Params::Landmarks::kFixed,
     .obs_order = Params::ObsOrder::kSelfFirst},
    {.num_agents = 8, .size = 3, .block = true},
    {.num_agents = 4,
     .size = 3,
     .block = true,
     .landmarks = Params::Landmarks::kFixed,
     .obs_order = Params::ObsOrder::kSelfFirst},
    {.num_agents = 100, .size = 11},
    {.num_agents = 1024, .size = 32, .block = true, .landmarks = Params::Landmarks::kFixed},
    {.num_agents = 6, .size = 3, .obs_mode = Params::ObsMode::kNearest, .nearest = 5},
    {.num_agents = 200, .size = 15, .obs_mode = Params::ObsMode::kNearest},
});

/// A solo with its agents and landmarks at (column, row).
struct Board : SoloEnv<Navigation> {
  Board(const Params& params, const std::vector<Cell>& agents, const std::vector<Cell>& landmarks)
      : SoloEnv(params) {
    reset();
    std::ranges::copy(agents, env.state().agents.all().begin());
    std::ranges::copy(landmarks, env.state().landmarks.all().begin());
  }

  Cell agent(std::size_t i) const { return env.state().agents[i]; }
};

const std::vector<Cell> kLandmarks{{0, 0}, {2, 1}, {4, 4}};

/// The next `count` cells of a 5 x 5 grid that a stream draws, on a fresh list.
std::vector<Cell> draw(Rng& rng, std::size_t count) {
  std::array<int, 25> cells{};
  std::iota(cells.begin(), cells.end(), 0);
  rng.choose(std::span(cells), count);
  std::vector<Cell> out;
  for (std::size_t k = 0; k < count; ++k) {
    out.push_back(
        {static_cast<std::uint8_t>(cells[k] % 5), static_cast<std::uint8_t>(cells[k] / 5)});
  }
  return out;
}

std::vector<Cell> first(const Navigation::Cells& cells, std::size_t count) {
  const auto some = cells.all().first(count);
  return {some.begin(), some.end()};
}

TEST_CASE("reset puts landmarks, then agents, on distinct cells of their own kind") {
  bool shared = false;
  for (std::uint64_t episode = 0; episode < 50; ++episode) {
    SoloEnv<Navigation> solo;
    Rng rng(1, 2, episode, 0, Domain::kDynamics);
    Rng same = rng;
    solo.env.reset(rng, solo.view({}));
    const auto landmarks = first(solo.env.state().landmarks, 3);
    const auto agents = first(solo.env.state().agents, 3);
    CHECK(landmarks == draw(same, 3));
    CHECK(agents == draw(same, 3));
    CHECK(rng.next() == same.next());  // six words and nothing else
    std::set<std::pair<int, int>> places, goals;
    for (std::size_t i = 0; i < 3; ++i) {
      places.insert({agents[i].x, agents[i].y});
      goals.insert({landmarks[i].x, landmarks[i].y});
    }
    CHECK(places.size() == 3);
    CHECK(goals.size() == 3);
    places.merge(goals);
    shared = shared || places.size() < 6;
  }
  CHECK(shared);  // an agent may start on a landmark
}

TEST_CASE("fixed landmarks are those of episode 0; the agents are those of the episode") {
  SoloEnv<Navigation> solo(Params{.landmarks = Params::Landmarks::kFixed});
  Rng zero(1, 2, 0, 0, Domain::kDynamics);
  const std::vector<Cell> kept = draw(zero, 3);
  for (std::uint64_t episode = 0; episode < 5; ++episode) {
    Rng rng(1, 2, episode, 0, Domain::kDynamics);
    Rng same = rng;
    solo.env.reset(rng, solo.view({}));
    CHECK(first(solo.env.state().landmarks, 3) == kept);
    draw(same, 3);
    CHECK(first(solo.env.state().agents, 3) == draw(same, 3));
    CHECK(rng.next() == same.next());
  }
}

TEST_CASE("a grid as full as it can be") {
  SoloEnv<Navigation> solo(Params{.num_agents = 4, .size = 2});
  solo.reset();
  for (const auto& cells : {solo.env.state().agents, solo.env.state().landmarks}) {
    std::set<std::pair<int, int>> distinct;
    for (std::size_t i = 0; i < 4; ++i) distinct.insert({cells[i].x, cells[i].y});
    CHECK(distinct.size() == 4);
  }
}

TEST_CASE("moves: x grows to the right, y grows downwards, borders hold") {
  Board board({}, {{2, 2}, {2, 2}, {0, 0}}, kLandmarks);
  board.step({kLeft, kRight, kLeft});
  CHECK(board.agent(0) == Cell{1, 2});
  CHECK(board.agent(1) == Cell{3, 2});
  CHECK(board.agent(2) == Cell{0, 0});
  board.step({kDown, kUp, kUp});
  CHECK(board.agent(0) == Cell{1, 3});
  CHECK(board.agent(1) == Cell{3, 1});
  CHECK(board.agent(2) == Cell{0, 0});
  board.step({kDown, kRight, kStay});
  board.step({kDown, kRight, kStay});
  CHECK(board.agent(0) == Cell{1, 4});
  CHECK(board.agent(1) == Cell{4, 1});
  CHECK(board.agent(2) == Cell{0, 0});
}

TEST_CASE("the distance is Euclidean, of the place moved to, and arrived costs nothing") {
  Board board({}, {{1, 0}, {4, 4}, {4, 2}}, kLandmarks);
  CHECK_FALSE(board.step({kLeft, kUp, kStay}));
  CHECK(board.reward == Floats{0, static_cast<float>(-std::sqrt(8.0)), -2});
  CHECK_FALSE(std::signbit(board.reward[0]));  // zero and not minus zero
}

TEST_CASE("metric l1 counts steps") {
  Board board({.metric = Params::Distance::kL1}, {{1, 0}, {4, 4}, {4, 2}}, kLandmarks);
  board.step({kRight, kUp, kLeft});
  CHECK(board.reward == Floats{-2, -4, -3});
}

TEST_CASE("each other agent on the cell costs one") {
  Board board({}, {{2, 2}, {3, 1}, {4, 1}}, {{2, 1}, {2, 1}, {2, 1}});
  board.step({kUp, kLeft, kStay});
  CHECK(board.reward == Floats{-1, -1, -2});
  board.step({kStay, kStay, kLeft});
  CHECK(board.reward == Floats{-1, -1, -1});
  board.step({kStay, kStay, kLeft});
  CHECK(board.reward == Floats{-2, -2, -2});
}

TEST_CASE("changing places is no collision") {
  Board board({}, {{0, 0}, {1, 0}, {4, 4}}, {{1, 0}, {0, 0}, {4, 4}});
  board.step({kRight, kLeft, kStay});
  CHECK(board.reward == Floats{0, 0, 0});
}

TEST_CASE("amounts are parameters, subtracted in double precision") {
  Board board({.dist_scale = 0.3, .collision = 0.7}, {{2, 2}, {2, 2}, {4, 4}},
              {{0, 0}, {2, 1}, {4, 4}});
  board.step({kStay, kStay, kStay});
  CHECK(board.reward[0] == static_cast<float>(0.0 - 0.3 * std::sqrt(8.0) - 0.7));
  CHECK(board.reward[1] == static_cast<float>(0.0 - 0.3 - 0.7));
  CHECK(board.reward[2] == 0);
}

TEST_CASE("block: in a random order, nobody enters an occupied cell") {
  std::set<std::size_t> winners;
  for (std::uint64_t step = 1; step <= 40; ++step) {
    Rng rng = SoloEnv<Navigation>::stream(step);
    Rng same = rng;
    std::array<std::uint8_t, 3> order{};
    same.perm(std::span(order));

    // Agents 0 and 1 both want (1, 1), agent 2 wants the cell that agent 1 leaves if it wins.
    Board board({.block = true}, {{0, 1}, {2, 1}, {3, 1}}, kLandmarks);
    board.step({kRight, kLeft, kLeft}, rng);
    const auto rank = [&order](std::uint8_t i) { return std::ranges::find(order, i); };
    const std::size_t winner = rank(0) < rank(1) ? 0 : 1;
    winners.insert(winner);
    CHECK(board.agent(winner) == Cell{1, 1});
    CHECK(board.agent(1 - winner) == (winner == 0 ? Cell{2, 1} : Cell{0, 1}));
    const bool follows = winner == 1 && rank(1) < rank(2);
    CHECK(board.agent(2) == (follows ? Cell{2, 1} : Cell{3, 1}));
    CHECK(rng.next() == same.next());  // one permutation and nothing else
  }
  CHECK(winners.size() == 2);
}

TEST_CASE("without block a step draws nothing") {
  Board board({}, {{0, 0}, {1, 1}, {2, 2}}, kLandmarks);
  Rng rng = SoloEnv<Navigation>::stream(1);
  Rng same = rng;
  board.step({kRight, kLeft, kLeft}, rng);
  CHECK(rng.next() == same.next());
}

TEST_CASE("one view: agents, then landmarks, divided by size - 1 and rounded once") {
  Board board({.size = 4}, {{1, 2}, {3, 0}, {0, 3}}, {{2, 2}, {1, 1}, {3, 3}});
  board.step({kStay, kStay, kStay});
  const float third = static_cast<float>(1.0 / 3.0), two_thirds = static_cast<float>(2.0 / 3.0);
  CHECK(board.obs == Floats{third, two_thirds, 1, 0, 0, 1,  // agents
                            two_thirds, two_thirds, third, third, 1, 1});
}

TEST_CASE("a view per agent: its own place and landmark, then those of the others in order") {
  Board board({.obs_order = Params::ObsOrder::kSelfFirst}, {{1, 2}, {3, 0}, {0, 3}},
              {{2, 2}, {1, 1}, {4, 3}});
  board.step({kStay, kStay, kStay});
  const Floats zero{0.25F, 0.5F, 0.5F, 0.5F}, one{0.75F, 0, 0.25F, 0.25F}, two{0, 0.75F, 1, 0.75F};
  Floats expected;
  for (const auto& view :
       {std::array{zero, one, two}, std::array{one, zero, two}, std::array{two, zero, one}}) {
    for (const Floats& part : view) expected.insert(expected.end(), part.begin(), part.end());
  }
  CHECK(board.obs == expected);
}

TEST_CASE("nearest: oneself, then the others fewest steps away, of equally near ones the lowest") {
  Board board({.num_agents = 5, .obs_mode = Params::ObsMode::kNearest, .nearest = 2},
              {{2, 2}, {4, 4}, {3, 3}, {2, 1}, {1, 2}}, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}});
  board.step({kStay, kStay, kStay, kStay, kStay});
  const Floats zero{0.5F, 0.5F, 0, 0}, one{1, 1, 0.25F, 0}, two{0.75F, 0.75F, 0.5F, 0},
      three{0.5F, 0.25F, 0.75F, 0}, four{0.25F, 0.5F, 1, 0};
  Floats expected;
  for (const auto& view :
       {std::array{zero, three, four}, std::array{one, two, zero}, std::array{two, zero, one},
        std::array{three, zero, four}, std::array{four, zero, three}}) {
    for (const Floats& part : view) expected.insert(expected.end(), part.begin(), part.end());
  }
  CHECK(board.obs == expected);
}

TEST_CASE("nearest: whoever sorts all agents finds the same ones") {
  Rng rng(5, 0, 0, 0, Domain::kAction);
  for (const int size : {2, 5, 11, 32}) {
    for (const std::size_t agents : {2, 3, 10, 64, 65, 300}) {
      const square::Square square(size, static_cast<int>(agents));
      for (const std::uint32_t crowding : {1U, 3U}) {  // all over the square, or in a corner of it
        std::vector<Cell> at(agents);
        const auto side = (static_cast<std::uint32_t>(size) - 1) / crowding + 1;
        for (Cell& cell : at) {
          cell = {static_cast<std::uint8_t>(rng.below(side)),
                  static_cast<std::uint8_t>(rng.below(side))};
        }
        const square::Crowd crowd(square, at.data());
        for (const std::size_t k : {1, 2, 5, 64}) {
          if (k >= agents) continue;
          for (std::size_t i = 0; i < agents; ++i) {
            std::vector<std::uint32_t> others(agents);
            std::iota(others.begin(), others.end(), 0U);
            std::erase(others, i);
            std::ranges::stable_sort(others, {},
                                     [&](auto j) { return square::manhattan(at[j], at[i]); });
            others.resize(k);
            const Nearest found = crowd.nearest(i, k);
            REQUIRE(std::vector(found.agent.begin(), found.agent.begin() + found.count) == others);
          }
        }
      }
    }
  }
}

TEST_CASE("neighbours are within a radius, of the state after the step, never oneself") {
  const std::vector<std::int32_t> action{kStay, kStay, kLeft};
  Board cheb({}, {{1, 1}, {2, 2}, {4, 2}}, kLandmarks);
  cheb.step(action);
  CHECK(cheb.neighbours == Bytes{0, 1, 0, 1, 0, 1, 0, 1, 0});

  Board manhattan({.neigh_metric = Params::Metric::kManhattan}, {{1, 1}, {2, 2}, {4, 2}},
                  kLandmarks);
  manhattan.step(action);
  CHECK(manhattan.neighbours == Bytes{0, 0, 0, 0, 0, 1, 0, 1, 0});

  Board nobody({.neigh_radius = 0}, {{1, 1}, {1, 1}, {1, 2}}, kLandmarks);
  nobody.step({kStay, kStay, kStay});
  CHECK(nobody.hears(0, 1));
  CHECK_FALSE(nobody.hears(1, 2));
}

TEST_CASE("a lone agent has nobody to meet") {
  Board board({.num_agents = 1}, {{2, 2}}, {{2, 3}});
  board.step({kDown});
  CHECK(board.reward == Floats{0});
  CHECK(board.neighbours == Bytes{0});
}

TEST_CASE("a state is admitted only if it can be one of this environment") {
  SoloEnv<Navigation> solo;
  solo.reset();
  const Navigation& env = solo.env;
  const Navigation::State valid = env.state();
  CHECK(env.admits(valid));
  Navigation::State state = valid;
  state.agents[2] = {4, 5};
  CHECK_FALSE(env.admits(state));
  state = valid;
  state.landmarks[0] = {5, 0};
  CHECK_FALSE(env.admits(state));
}

TEST_CASE("navigation shows agents and landmarks by row and column") {
  SoloEnv<Navigation> solo(Params{.num_agents = 2});
  solo.env.state().agents[0] = {1, 2};
  solo.env.state().agents[1] = {4, 0};
  solo.env.state().landmarks[0] = {0, 3};
  solo.env.state().landmarks[1] = {2, 2};
  CHECK(inspect(solo.env) ==
        Rows{{"agents", {{2, 2}, {2, 1, 0, 4}}}, {"landmarks", {{2, 2}, {3, 0, 2, 2}}}});
}

TEST_CASE("agents need as many cells, and counts and scales are not negative") {
  CHECK_THROWS_WITH(validate(Params{.num_agents = 5, .size = 2}),
                    "num_agents = 5 needs as many cells; size = 2 has 4");
  CHECK_NOTHROW(validate(Params{.num_agents = 4, .size = 2}));
  CHECK_THROWS_WITH(validate(Params{.obs_mode = Params::ObsMode::kNearest, .nearest = 3}),
                    "nearest = 3 is more than the others there are; num_agents = 3 has 2");
  CHECK_THROWS_WITH(validate(Params{.num_agents = 0}), "num_agents = 0 is outside 1..1024");
  CHECK_THROWS_WITH(validate(Params{.dist_scale = -1}), "dist_scale = -1 is outside 0..1e+06");
}

TEST_CASE("sizes follow from the parameters") {
  const Spec spec = Navigation(Params{.num_agents = 4}).spec();
  CHECK(spec.num_actions() == 5);
  CHECK(spec.views == 1);
  CHECK(spec.obs_size == 16);
  CHECK(spec.horizon == 100);
  CHECK(
      Navigation(Params{.num_agents = 4, .obs_order = Params::ObsOrder::kSelfFirst}).spec().views ==
      4);
  const Spec nearest =
      Navigation(Params{.num_agents = 20, .obs_mode = Params::ObsMode::kNearest, .nearest = 3})
          .spec();
  CHECK(nearest.views == 20);
  CHECK(nearest.obs_size == 16);
}

TEST_CASE("many agents move and meet by the rules of few") {
  for (const bool block : {false, true}) {
    const square::Square square(8, 60);
    std::array<Cell, 1024> few{}, many{};
    for (std::size_t i = 0; i < 60; ++i) {
      few[i] = many[i] = {static_cast<std::uint8_t>(i % 8), static_cast<std::uint8_t>(i / 8)};
    }
    std::vector<std::int32_t> action(60);
    std::vector<std::uint8_t> heard(60 * 60), heard_too(60 * 60);
    Rng draws(4, 0, 0, 0, Domain::kAction);
    for (std::uint64_t step = 0; step < 200; ++step) {
      for (auto& a : action) a = static_cast<std::int32_t>(draws.below(5));
      Rng rng(4, 0, 0, step, Domain::kDynamics), same = rng;
      square.move<kMaxAgents>(rng, action, block, few.data());
      square.move<square::Square::kMaxCells>(same, action, block, many.data());
      REQUIRE(few == many);
      CHECK(rng.u01() == same.u01());
      for (const auto metric : {Params::Metric::kChebyshev, Params::Metric::kManhattan}) {
        square.meet(few.data(), 2, metric, heard, [](std::size_t, std::size_t, bool) {});
        square.meet_many(many.data(), 2, metric, heard_too);
        REQUIRE(heard == heard_too);
      }
    }
  }
}

TEST_CASE("agents share cells beyond any number that can be told apart in pairs") {
  SoloEnv<Navigation> solo(Params{.num_agents = 200, .size = 20, .dist_scale = 0});
  solo.reset();
  for (int step = 0; step < 25; ++step) solo.step(std::vector<std::int32_t>(200, kLeft));
  for (int step = 0; step < 25; ++step) solo.step(std::vector<std::int32_t>(200, kUp));
  CHECK(solo.reward == Floats(200, -199));  // all are in one corner
  CHECK(solo.hears(0, 199));
  CHECK_FALSE(solo.hears(199, 199));
}

TEST_CASE("saved states that cannot be are refused") {
  constexpr std::size_t kLandmarksAt = kMaxAgents * sizeof(Cell);
  check_refused<Navigation>({}, {2 * 3, 2 * 63, kLandmarksAt + 6}, std::uint8_t{1});  // not there
  check_refused<Navigation>({}, {0, 5, kLandmarksAt}, std::uint8_t{5});
}

}  // namespace
}  // namespace ascore
