#include "ascore/envs/exchange.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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

using Params = ExchangeParams;
using Cell = Exchange::Cell;
using Box = Exchange::Box;
using Floats = std::vector<float>;

constexpr std::int32_t kStay = Exchange::kStay, kLeft = Exchange::kLeft, kRight = Exchange::kRight,
                       kDown = Exchange::kDown, kUp = Exchange::kUp, kOpen = Exchange::kOpen;

const Variants<Exchange> kVariants({
    {},
    {.num_agents = 25, .agents_on_boxes = true},
    {.num_agents = 64, .size = 32, .open_range = 4},
    {.food = Params::FoodRule::kPickup, .collisions = Params::Collisions::kBlock},
    {.num_agents = 9, .size = 5, .open_range = 4, .early_end = true},
    {.open_range = 2,
     .food = Params::FoodRule::kPickup,
     .early_end = true,
     .eaten = Params::Eaten::kFlag,
     .collisions = Params::Collisions::kBlock},
    {.num_agents = 65, .size = 12, .opener = Params::Opener::kNext, .open_range = 9},
    {.num_agents = 512, .size = 32, .open_range = 2},
    {.num_agents = 100,
     .size = 10,
     .open_range = 9,
     .food = Params::FoodRule::kPickup,
     .agents_on_boxes = true,
     .collisions = Params::Collisions::kBlock},
    {.num_agents = 2, .size = 3, .weights = "0.3 1.5"},
});

/// A solo with its agents and boxes at (column, row); time is free unless a test is about it.
struct Board : SoloEnv<Exchange> {
  explicit Board(Params params, std::vector<Cell> agents, std::vector<Cell> boxes)
      : SoloEnv(params) {
    reset();
    std::ranges::copy(agents, env.state().agents.all().begin());
    std::ranges::copy(boxes, env.state().boxes.all().begin());
  }

  Cell agent(std::size_t i) const { return env.state().agents[i]; }
  Box food(std::size_t b) const { return env.state().food[b]; }
};

Params free_time(Params params = {}) {
  params.time_cost = 0;
  return params;
}

const std::vector<Cell> kBoxes{{1, 0}, {3, 0}, {4, 4}};
const std::vector<Cell> kAgents{{0, 0}, {2, 2}, {0, 4}};

TEST_CASE("reset puts boxes and agents on distinct cells, in draw order") {
  SoloEnv<Exchange> solo;
  solo.reset();
  std::array<int, 25> cells{};
  for (int k = 0; k < 25; ++k) cells[static_cast<std::size_t>(k)] = k;
  Rng rng = SoloEnv<Exchange>::stream(0);
  rng.choose(std::span(cells), 6);
  for (std::size_t k = 0; k < 3; ++k) {
    const auto at = [&cells](std::size_t d) {
      return Cell{static_cast<std::uint8_t>(cells[d] % 5), static_cast<std::uint8_t>(cells[d] / 5)};
    };
    CHECK(solo.env.state().boxes[k] == at(k));
    CHECK(solo.env.state().agents[k] == at(3 + k));
    CHECK(solo.env.state().food[k] == Box::kClosed);
  }
}

TEST_CASE("agents may start on boxes if told so") {
  bool shared = false;
  for (std::uint64_t episode = 0; episode < 50; ++episode) {
    SoloEnv<Exchange> solo(Params{.agents_on_boxes = true});
    Rng rng(0, 0, episode, 0, Domain::kDynamics);
    solo.env.reset(rng, solo.view({}));
    const auto& state = solo.env.state();
    std::set<std::pair<int, int>> agents, boxes;
    for (std::size_t i = 0; i < 3; ++i) {
      agents.insert({state.agents[i].x, state.agents[i].y});
      boxes.insert({state.boxes[i].x, state.boxes[i].y});
    }
    CHECK(agents.size() == 3);
    CHECK(boxes.size() == 3);
    agents.merge(boxes);
    shared = shared || agents.size() < 6;
  }
  CHECK(shared);
}

TEST_CASE("moves: x grows to the right, y grows downwards, borders hold") {
  Board board(free_time(), {{2, 2}, {2, 2}, {0, 0}}, kBoxes);
  board.step({kLeft, kRight, kLeft});
  CHECK(board.agent(0) == Cell{1, 2});
  CHECK(board.agent(1) == Cell{3, 2});
  CHECK(board.agent(2) == Cell{0, 0});
  board.step({kDown, kUp, kUp});
  CHECK(board.agent(0) == Cell{1, 3});
  CHECK(board.agent(1) == Cell{3, 1});
  CHECK(board.agent(2) == Cell{0, 0});
  board.step({kDown, kRight, kStay});
  board.step({kDown, kRight, kOpen});
  CHECK(board.agent(0) == Cell{1, 4});
  CHECK(board.agent(1) == Cell{4, 1});
  CHECK(board.agent(2) == Cell{0, 0});
}

TEST_CASE("weights are factors on what food is worth to its owner") {
  for (const auto food : {Params::FoodRule::kImmediate, Params::FoodRule::kPickup}) {
    // Agent 0 stands on its own box 0 and on box 1; agent 1 on box 0 as well.
    Board board(free_time({.food = food, .weights = "0.5 0 1"}), {{3, 0}, {3, 0}, {0, 4}},
                {{1, 0}, {3, 0}, {4, 4}});
    board.step({kOpen, kStay, kStay});
    CHECK(board.reward == std::vector<float>{-5, 0, 0});  // food that is worth nothing to agent 1
    Board other(free_time({.food = food, .weights = "0.25 1 1"}), {{1, 0}, {1, 0}, {0, 4}}, kBoxes);
    other.step({kStay, kOpen, kStay});
    CHECK(other.reward == std::vector<float>{2.5, -5, 0});
  }
}

TEST_CASE("agents share cells unless they block one another") {
  Board board(free_time(), {{0, 0}, {1, 0}, {4, 4}}, kBoxes);
  board.step({kRight, kLeft, kStay});  // they swap
  CHECK(board.agent(0) == Cell{1, 0});
  CHECK(board.agent(1) == Cell{0, 0});
  board.step({kStay, kRight, kStay});
  CHECK(board.agent(1) == Cell{1, 0});
}

TEST_CASE("block: in a random order, nobody enters an occupied cell") {
  const Params params =
      free_time({.contest = Params::Contest::kLowest, .collisions = Params::Collisions::kBlock});
  std::set<std::size_t> winners;
  for (std::uint64_t step = 1; step <= 40; ++step) {
    Rng rng = SoloEnv<Exchange>::stream(step);
    Rng same = rng;
    std::array<std::uint8_t, 3> order{};
    same.perm(std::span(order));

    // Agents 0 and 1 both want (1, 1), agent 2 wants the cell that agent 1 leaves if it wins.
    Board board(params, {{0, 1}, {2, 1}, {3, 1}}, kBoxes);
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

TEST_CASE("opening costs the opener, feeds the owner and takes the food away") {
  Board board(free_time(), {{1, 0}, {3, 0}, {1, 0}}, kBoxes);
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{10, 0, -5});
  CHECK(board.food(0) == Box::kEaten);
  CHECK(Floats(board.obs.begin() + 6, board.obs.end()) == Floats{-1, -1, 0.75F, 0, 1, 1});
  board.step({kStay, kStay, kOpen});  // there is nothing left to open
  CHECK(board.reward == Floats{0, 0, 0});
}

TEST_CASE("amounts and time cost are parameters, added up in double precision") {
  Board board({.cost = 0.7, .gain = 0.1, .time_cost = 0.3}, {{1, 0}, {3, 0}, {1, 0}}, kBoxes);
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward[0] == static_cast<float>(0.1 - 0.3));
  CHECK(board.reward[1] == static_cast<float>(0.0 - 0.3));
  CHECK(board.reward[2] == static_cast<float>(0.0 - 0.7 - 0.3));
}

TEST_CASE("nobody opens the own box") {
  Board board(free_time({.useless_open_cost = 5}), {{1, 0}, {3, 0}, {2, 2}}, kBoxes);
  board.step({kOpen, kOpen, kStay});
  CHECK(board.reward == Floats{-5, -5, 0});
  CHECK(board.food(0) == Box::kClosed);
}

TEST_CASE("a useless open is free by default") {
  Board board(free_time(), kAgents, kBoxes);
  board.step({kOpen, kOpen, kOpen});
  CHECK(board.reward == Floats{0, 0, 0});
}

TEST_CASE("opener next: only the next agent opens a box") {
  const Params params = free_time({.opener = Params::Opener::kNext});
  Board board(params, {{1, 0}, {1, 0}, {1, 0}}, kBoxes);
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{0, 0, 0});
  board.step({kStay, kOpen, kStay});
  CHECK(board.reward == Floats{10, -5, 0});
  Board wrapped(params, {{4, 4}, {4, 4}, {0, 0}}, kBoxes);
  wrapped.step({kStay, kOpen, kStay});
  CHECK(wrapped.reward == Floats{0, 0, 0});
  wrapped.step({kOpen, kStay, kStay});
  CHECK(wrapped.reward == Floats{-5, 0, 10});
}

TEST_CASE("an agent opens from the cell it has moved to, in the next step") {
  Board board(free_time(), {{0, 0}, {0, 0}, {0, 0}}, kBoxes);
  board.step({kStay, kRight, kStay});
  CHECK(board.reward == Floats{0, 0, 0});
  board.step({kStay, kOpen, kStay});
  CHECK(board.reward == Floats{10, -5, 0});
}

TEST_CASE("open range is a Manhattan distance; of several boxes the lowest is opened") {
  Params params = free_time({.open_range = 2});
  Board board(params, {{4, 4}, {0, 0}, {2, 1}}, {{1, 0}, {3, 0}, {2, 4}});
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{10, 0, -5});
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{0, 10, -5});
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{0, 0, 0});
  params.open_range = 1;
  Board diagonal(params, {{4, 4}, {0, 0}, {2, 1}}, {{1, 0}, {3, 0}, {2, 4}});
  diagonal.step({kStay, kStay, kOpen});
  CHECK(diagonal.reward == Floats{0, 0, 0});
}

TEST_CASE("contest random: the first in the drawn order pays, and only it") {
  std::set<std::size_t> payers;
  for (std::uint64_t step = 1; step <= 40; ++step) {
    Rng rng = SoloEnv<Exchange>::stream(step);
    Rng same = rng;
    std::array<std::uint8_t, 3> order{};
    same.perm(std::span(order));
    Board board(free_time({.useless_open_cost = 2}), {{4, 4}, {4, 4}, {0, 0}}, kBoxes);
    board.step({kOpen, kOpen, kStay}, rng);
    const std::size_t payer = std::ranges::find(order, 0) < std::ranges::find(order, 1) ? 0 : 1;
    payers.insert(payer);
    CHECK(board.reward[payer] == -5);
    CHECK(board.reward[1 - payer] == -2);  // it found the box already open
    CHECK(board.reward[2] == 10);
    CHECK(rng.next() == same.next());
  }
  CHECK(payers.size() == 2);
}

TEST_CASE("contest lowest: the lowest index pays and nothing is drawn") {
  Board board(free_time({.contest = Params::Contest::kLowest}), {{4, 4}, {4, 4}, {0, 0}}, kBoxes);
  Rng rng = SoloEnv<Exchange>::stream(1);
  Rng same = rng;
  board.step({kOpen, kOpen, kStay}, rng);
  CHECK(board.reward == Floats{-5, 0, 10});
  CHECK(rng.next() == same.next());
}

TEST_CASE("contest random draws its order in every step, also if nobody opens") {
  Board board(free_time(), kAgents, kBoxes);
  Rng rng = SoloEnv<Exchange>::stream(1);
  Rng same = rng;
  board.step({kStay, kStay, kStay}, rng);
  same.next();
  same.next();
  CHECK(rng.next() == same.next());
}

TEST_CASE("pickup: the owner gains once it stands on its open box") {
  const Params params = free_time({.food = Params::FoodRule::kPickup});
  Board board(params, {{0, 0}, {3, 3}, {1, 0}}, kBoxes);
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{0, 0, -5});
  CHECK(board.food(0) == Box::kOpen);
  CHECK(board.obs[6] == 0.25F);       // still there
  board.step({kStay, kStay, kOpen});  // open already: free
  CHECK(board.reward == Floats{0, 0, 0});
  board.step({kRight, kStay, kStay});
  CHECK(board.reward == Floats{10, 0, 0});
  CHECK(board.food(0) == Box::kEaten);
  CHECK(board.obs[6] == -1);
  board.step({kStay, kStay, kStay});
  CHECK(board.reward == Floats{0, 0, 0});
}

TEST_CASE("pickup: an owner that waits on its box gains in the step that opens it") {
  Board board(free_time({.food = Params::FoodRule::kPickup}), {{1, 0}, {3, 3}, {1, 0}}, kBoxes);
  board.step({kStay, kStay, kOpen});
  CHECK(board.reward == Floats{10, 0, -5});
}

TEST_CASE("flags show closed, open and eaten boxes, and eaten food keeps its place") {
  Board board(free_time({.food = Params::FoodRule::kPickup, .eaten = Params::Eaten::kFlag}),
              {{1, 0}, {3, 0}, {4, 4}}, kBoxes);
  board.env.state().food[1] = Box::kEaten;
  board.env.state().agents[2] = {1, 0};
  board.env.state().agents[0] = {2, 0};
  board.step({kStay, kStay, kOpen});
  CHECK(board.obs == Floats{0.5F, 0, 0.75F, 0, 0.25F, 0,  // agents
                            0.25F, 0, 0.75F, 0, 1, 1,     // boxes
                            0.5F, 1, 0});
}

TEST_CASE("observations divide cells by size - 1, rounded once from double precision") {
  Board board(free_time({.size = 4}), {{1, 2}, {3, 0}, {0, 3}}, {{2, 2}, {1, 1}, {3, 3}});
  board.step({kStay, kStay, kStay});
  const float third = static_cast<float>(1.0 / 3.0), two_thirds = static_cast<float>(2.0 / 3.0);
  CHECK(board.obs == Floats{third, two_thirds, 1, 0, 0, 1,  // agents
                            two_thirds, two_thirds, third, third, 1, 1});
}

/// Agents 1, 0 and 0 stand on boxes 0, 1 and 2: one step opens two, another the last.
Board harvest_time(const Params& params) {
  return Board(params, {{3, 0}, {1, 0}, {0, 0}}, {{1, 0}, {3, 0}, {3, 0}});
}

TEST_CASE("time costs every agent every step, and nothing ends before the horizon") {
  Board board = harvest_time({});
  const float time = static_cast<float>(-0.01);
  board.step({kStay, kStay, kStay});
  CHECK(board.reward == Floats{time, time, time});
  CHECK_FALSE(board.step({kOpen, kOpen, kStay}));
  CHECK_FALSE(board.step({kOpen, kStay, kStay}));
  CHECK(board.food(2) == Box::kEaten);
  CHECK_FALSE(board.step({kStay, kStay, kStay}));
  CHECK(board.reward == Floats{time, time, time});
}

TEST_CASE("time_cost_after false: the last meal's step still costs, later ones do not") {
  Board board = harvest_time({.time_cost_after = false});
  board.step({kOpen, kOpen, kStay});
  board.step({kOpen, kStay, kStay});
  CHECK(board.reward[1] == static_cast<float>(-0.01));
  CHECK(board.reward[2] == static_cast<float>(10 - 0.01));
  board.step({kStay, kStay, kStay});
  CHECK(board.reward == Floats{0, 0, 0});
}

TEST_CASE("early_end: the episode terminates with the last meal") {
  Board board = harvest_time({.early_end = true});
  CHECK_FALSE(board.step({kOpen, kOpen, kStay}));
  CHECK(board.step({kOpen, kStay, kStay}));
}

TEST_CASE("early_end under pickup waits for the food to be eaten") {
  Board board = harvest_time({.food = Params::FoodRule::kPickup, .early_end = true});
  std::ranges::copy(std::vector{Box::kEaten, Box::kEaten, Box::kOpen},
                    board.env.state().food.all().begin());
  CHECK_FALSE(board.step({kStay, kStay, kStay}));
  board.env.state().agents[2] = {2, 0};
  CHECK(board.step({kStay, kStay, kRight}));
}

TEST_CASE("neighbours are within a radius, of the state after the step, never oneself") {
  Board cheb(free_time(), {{1, 1}, {2, 2}, {4, 2}}, kBoxes);
  cheb.step({kStay, kStay, kLeft});
  CHECK(cheb.neighbours == std::vector<std::uint8_t>{0, 1, 0, 1, 0, 1, 0, 1, 0});

  Board manhattan(free_time({.neigh_metric = Params::Metric::kManhattan}), {{1, 1}, {2, 2}, {4, 2}},
                  kBoxes);
  manhattan.step({kStay, kStay, kLeft});
  CHECK(manhattan.neighbours == std::vector<std::uint8_t>{0, 0, 0, 0, 0, 1, 0, 1, 0});

  Board nobody(free_time({.neigh_radius = 0}), {{1, 1}, {1, 1}, {1, 2}}, kBoxes);
  nobody.step({kStay, kStay, kStay});
  CHECK(nobody.hears(0, 1));
  CHECK_FALSE(nobody.hears(1, 2));
}

TEST_CASE("a state is admitted only if it can be one of this environment") {
  SoloEnv<Exchange> solo;
  solo.reset();
  const Exchange& env = solo.env;
  const Exchange::State valid = env.state();
  CHECK(env.admits(valid));
  Exchange::State state = valid;
  state.agents[2] = {4, 5};
  CHECK_FALSE(env.admits(state));
  state = valid;
  state.boxes[0] = {5, 0};
  CHECK_FALSE(env.admits(state));
  state = valid;
  state.food[1] = static_cast<Box>(3);
  CHECK_FALSE(env.admits(state));
}

TEST_CASE("exchange shows agents, boxes and food by row and column") {
  SoloEnv<Exchange> solo(Params{.num_agents = 3});
  auto& state = solo.env.state();
  state.agents[0] = {1, 2};
  state.agents[1] = {4, 0};
  state.agents[2] = {3, 3};
  state.boxes[0] = {0, 4};
  state.boxes[1] = {2, 1};
  state.boxes[2] = {4, 3};
  state.food[1] = Exchange::Box::kOpen;
  state.food[2] = Exchange::Box::kEaten;
  CHECK(inspect(solo.env) == Rows{{"agents", {{3, 2}, {2, 1, 0, 4, 3, 3}}},
                                  {"boxes", {{3, 2}, {4, 0, 1, 2, 3, 4}}},
                                  {"food", {{3}, {0, 1, 2}}}});
}

TEST_CASE("saved states that cannot be are refused") {
  constexpr std::size_t kBoxesAt = kMaxAgents * sizeof(Cell), kFoodAt = 2 * kBoxesAt;
  check_refused<Exchange>({}, {2 * 3, 2 * 63, kBoxesAt + 6, kFoodAt + 3},
                          std::uint8_t{1});  // agents not there
  check_refused<Exchange>({}, {0, 1, kBoxesAt}, std::uint8_t{5});
  check_refused<Exchange>({}, {kFoodAt}, Exchange::Box::kOpen);  // food = immediate
  check_refused<Exchange>({}, {kFoodAt}, std::uint8_t{3});
  check_refused<Exchange>({}, {kBoxesAt}, std::uint64_t{0});  // four boxes on one cell
}

}  // namespace
}  // namespace ascore
