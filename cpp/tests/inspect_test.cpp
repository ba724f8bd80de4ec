// What environments say they hold.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "ascore/vec_env.hpp"
#include "counter.hpp"
#include "inspected.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

TEST_CASE("every environment shows its agents, first of all") {
  for_each_variant([]<class Env>(const typename Env::Params& params) {
    VecEnv<Env> batch(2, 7, 0, 1, params);
    batch.reset();
    const Rows rows = inspect(batch, 1);
    REQUIRE(rows.contains("agents"));
    CHECK(rows.at("agents").shape.front() == batch.num_agents());
    CHECK(rows == inspect(batch.env(1)));
  });
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
  for_each_environment([]<class Env>() { static_assert(Inspectable<Env>); });
}

}  // namespace
}  // namespace ascore
