// What environments say they hold.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/envs/exchange.hpp"
#include "ascore/envs/navigation.hpp"
#include "ascore/envs/predation.hpp"
#include "ascore/vec_env.hpp"
#include "counter.hpp"
#include "world.hpp"

namespace ascore {
namespace {

struct Row {
  Shape shape;
  std::vector<double> values;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<std::string, Row>;

template <class Inspected>
Rows rows_of(Inspected&& inspected) {
  Rows rows;
  inspected([&rows]<class T>(std::string_view name, const Shape& shape, std::span<const T> values) {
    std::size_t entries = 1;
    for (const std::size_t extent : shape) entries *= extent;
    CHECK(values.size() == entries);
    CHECK(rows.emplace(name, Row{shape, {values.begin(), values.end()}}).second);
  });
  return rows;
}

template <class Env>
Rows inspect(const Env& env) {
  return rows_of([&env](auto&& row) { env.inspect(row); });
}

template <class Env>
Rows inspect(const VecEnv<Env>& batch, std::size_t b) {
  return rows_of([&](auto&& row) { batch.inspect(b, row); });
}

TEST_CASE("exchange shows agents, boxes and food by row and column") {
  World<Exchange> world(ExchangeParams{.num_agents = 3});
  auto& state = world.env.state();
  state.agents[0] = {1, 2};
  state.agents[1] = {4, 0};
  state.agents[2] = {3, 3};
  state.boxes[0] = {0, 4};
  state.boxes[1] = {2, 1};
  state.boxes[2] = {4, 3};
  state.food[1] = Exchange::Box::kOpen;
  state.food[2] = Exchange::Box::kEaten;
  CHECK(inspect(world.env) == Rows{{"agents", {{3, 2}, {2, 1, 0, 4, 3, 3}}},
                                   {"boxes", {{3, 2}, {4, 0, 1, 2, 3, 4}}},
                                   {"food", {{3}, {0, 1, 2}}}});
}

TEST_CASE("navigation shows agents and landmarks by row and column") {
  World<Navigation> world(NavigationParams{.num_agents = 2});
  world.env.state().agents[0] = {1, 2};
  world.env.state().agents[1] = {4, 0};
  world.env.state().landmarks[0] = {0, 3};
  world.env.state().landmarks[1] = {2, 2};
  CHECK(inspect(world.env) ==
        Rows{{"agents", {{2, 2}, {2, 1, 0, 4}}}, {"landmarks", {{2, 2}, {3, 0, 2, 2}}}});
}

TEST_CASE("predation shows places on the line") {
  World<Predation> world(PredationParams{.num_agents = 2});
  world.env.state().target = 12.25;
  world.env.state().agent[0] = 30;
  world.env.state().agent[1] = 0.5;
  CHECK(inspect(world.env) == Rows{{"agents", {{2}, {30, 0.5}}}, {"prey", {{1}, {12.25}}}});
}

TEST_CASE("a batch shows each of its environments, and what is not there is refused") {
  VecEnv<Predation> batch(3, 7, 0, 1, {.num_agents = 2});
  CHECK_THROWS_WITH_AS(inspect(batch, 0),
                       "inspect before the first reset of predation-v1; call reset() first",
                       std::invalid_argument);
  batch.reset();
  batch.step(std::vector<std::int32_t>{0, 1, 1, 1, 0, 0});
  for (std::size_t b = 0; b < 3; ++b) {
    CHECK(inspect(batch, b) == inspect(batch.env(b)));
    const auto& state = batch.env(b).state();
    CHECK(inspect(batch, b).at("agents").values ==
          std::vector<double>{state.agent[0], state.agent[1]});
  }
  CHECK(inspect(batch, 0) != inspect(batch, 1));
  CHECK_THROWS_WITH_AS(inspect(batch, 3), "index = 3 is outside 0..2", std::out_of_range);
  CHECK_THROWS_AS(static_cast<void>(batch.env(3)), std::out_of_range);
}

TEST_CASE("a look ahead sees the end of an episode and moves nothing") {
  VecEnv<Exchange> batch(2, 7, 0, 1, {.horizon = 3, .early_end = true});
  VecEnv<Exchange> longer(2, 7, 0, 1, {.horizon = 4, .early_end = true});
  batch.reset();
  longer.reset();
  const std::vector<std::int32_t> action{1, 2, 3, 4, 0, 1};
  for (int step = 0; step < 3; ++step) {
    const auto before = batch.save_state();
    const Rows ahead = rows_of([&](auto&& row) { batch.inspect_after(1, action, row); });
    CHECK(batch.save_state() == before);
    batch.step(action);
    longer.step(action);
    CHECK(ahead == inspect(longer, 1));
    CHECK((ahead == inspect(batch, 1)) == (step < 2));  // the third step ends in a new episode
  }
  const auto ignored = [](auto&&...) {};
  CHECK_THROWS_AS(batch.inspect_after(2, action, ignored), std::out_of_range);
  CHECK_THROWS_AS(batch.inspect_after(0, std::vector<std::int32_t>{1}, ignored),
                  std::invalid_argument);
  CHECK_THROWS_AS(batch.inspect_after(0, std::vector<std::int32_t>{1, 2, 3, 4, 0, 6}, ignored),
                  std::invalid_argument);
}

TEST_CASE("to be inspected is an option") {
  static_assert(MultiAgentEnv<Counter> && !Inspectable<Counter>);
  static_assert(Inspectable<Exchange> && Inspectable<Navigation> && Inspectable<Predation>);
}

}  // namespace
}  // namespace ascore
