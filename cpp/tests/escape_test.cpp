#include "ascore/envs/escape.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "inspected.hpp"
#include "saved_state.hpp"
#include "solo_env.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

using Params = EscapeParams;
using Floats = std::vector<float>;
using Bits = std::vector<std::uint8_t>;

constexpr std::int32_t kStay = 0, kPull = 1, kLeave = 2;

const Variants<Escape> kVariants({
    {},
    {.num_agents = 2, .cost_rule = Params::CostRule::kMove},
    {.num_agents = 64, .needed = 63, .starts = Params::Starts::kAnywhere},
    {.num_agents = 3, .cost_rule = Params::CostRule::kMove, .starts = Params::Starts::kAnywhere},
});

struct Room : SoloEnv<Escape> {
  explicit Room(const Params& params) : SoloEnv(params) { reset(); }

  void put(std::size_t agent, Escape::Place place) { env.state().place[agent] = place; }
};

constexpr Params kMove{.num_agents = 3, .cost_rule = Params::CostRule::kMove};

TEST_CASE("the door opens when half of the agents, rounded up, pull the lever") {
  Room room(Params{});
  CHECK_FALSE(room.step({kPull, kPull, kStay, kLeave, kLeave}));
  CHECK(room.reward == Floats{-1, -1, 0, 0, 0});
  CHECK(room.step({kPull, kPull, kPull, kLeave, kLeave}));
  CHECK(room.reward == Floats{-1, -1, -1, 10, 10});
  Room even({.num_agents = 4});
  CHECK_FALSE(even.step({kPull, kLeave, kLeave, kLeave}));
  CHECK(even.step({kPull, kLeave, kPull, kLeave}));
}

TEST_CASE("nobody leaves if all pull, and the episode goes on") {
  Room room(Params{});
  CHECK_FALSE(room.step({kPull, kPull, kPull, kPull, kPull}));
  CHECK(room.reward == Floats{-1, -1, -1, -1, -1});
}

TEST_CASE("how many must pull can be said") {
  Room one({.num_agents = 4, .needed = 1});
  CHECK(one.step({kPull, kLeave, kStay, kLeave}));
  CHECK(one.reward == Floats{-1, 10, 0, 10});
  Room three({.num_agents = 4, .needed = 3});
  CHECK_FALSE(three.step({kPull, kPull, kStay, kLeave}));
  CHECK(three.step({kPull, kPull, kPull, kLeave}));
}

TEST_CASE("the lever must be pulled in the step in which one leaves") {
  Room room({.num_agents = 3});
  CHECK_FALSE(room.step({kPull, kPull, kStay}));
  CHECK_FALSE(room.step({kStay, kPull, kLeave}));
  CHECK(room.reward == Floats{0, -1, 0});
}

TEST_CASE("lever: who stays at the lever pays again, who waits at the door does not") {
  Room room({.num_agents = 3});
  room.step({kPull, kLeave, kStay});
  room.step({kPull, kLeave, kStay});
  CHECK(room.reward == Floats{-1, 0, 0});
}

TEST_CASE("move: who changes its place pays, unless it leaves") {
  Room room(kMove);
  CHECK_FALSE(room.step({kPull, kLeave, kStay}));
  CHECK(room.reward == Floats{-1, -1, 0});
  CHECK_FALSE(room.step({kPull, kLeave, kStay}));
  CHECK(room.reward == Floats{0, 0, 0});
  CHECK_FALSE(room.step({kPull, kStay, kStay}));
  CHECK(room.reward == Floats{0, -1, 0});
  CHECK(room.step({kPull, kPull, kLeave}));
  CHECK(room.reward == Floats{0, -1, 10});
}

TEST_CASE("move: who has waited at the door leaves as it opens") {
  Room room(kMove);
  room.put(2, Escape::kDoor);
  CHECK(room.step({kPull, kPull, kLeave}));
  CHECK(room.reward == Floats{-1, -1, 10});
}

TEST_CASE("each sees its own place first, then those of the others in order") {
  Room room({.num_agents = 3});
  CHECK(room.obs ==
        Bits{1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0});
  room.step({kPull, kStay, kLeave});
  CHECK(room.obs == Bits{0, 1, 0, 1, 0, 0, 0, 0, 1,    // 0: lever; 1 start, 2 door
                         1, 0, 0, 0, 1, 0, 0, 0, 1,    // 1: start; 0 lever, 2 door
                         0, 0, 1, 0, 1, 0, 1, 0, 0});  // 2: door; 0 lever, 1 start
}

TEST_CASE("everybody hears everybody else") {
  Room room({.num_agents = 3});
  room.step({kPull, kStay, kLeave});
  CHECK(room.neighbours == Bits{0, 1, 1, 1, 0, 1, 1, 1, 0});
}

TEST_CASE("reset draws a place for each agent, or nothing") {
  SoloEnv<Escape> anywhere({.num_agents = 9, .starts = Params::Starts::kAnywhere});
  anywhere.reset();
  Rng rng = SoloEnv<Escape>::stream(0);
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(static_cast<std::uint64_t>(anywhere.env.state().place[i]) == rng.below(3));
  }
}

TEST_CASE("sizes follow from the parameters") {
  const Spec spec = Escape(Params{.num_agents = 12, .horizon = 7}).spec();
  CHECK(spec.num_actions() == 3);
  CHECK(spec.views == 12);
  CHECK(spec.obs_size == 36);
  CHECK(spec.horizon == 7);
}

TEST_CASE("as many levers as agents leave nobody for the door") {
  const auto complaint_about = [](const Params& params) -> std::string {
    try {
      validate(params);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  CHECK(complaint_about({.num_agents = 3, .needed = 2}) == "");
  CHECK(complaint_about({.num_agents = 3, .needed = 3}) ==
        "needed = 3 leaves nobody for the door; with num_agents = 3 it must be at most 2");
}

TEST_CASE("escape shows places and the door") {
  Room room({.num_agents = 3});
  CHECK(inspect(room.env) == Rows{{"agents", {{3}, {0, 0, 0}}}, {"door", {{1}, {0}}}});
  room.step({kPull, kPull, kLeave});
  CHECK(inspect(room.env) == Rows{{"agents", {{3}, {1, 1, 2}}}, {"door", {{1}, {1}}}});
}

TEST_CASE("saved states that cannot be are refused") {
  check_refused<Escape>({.num_agents = 3}, {0, 1, 2}, std::uint8_t{3});
  check_refused<Escape>({.num_agents = 3}, {3, 63}, std::uint8_t{1});  // agents not there
}

}  // namespace
}  // namespace ascore
