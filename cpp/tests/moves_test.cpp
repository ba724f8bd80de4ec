// How agents of the grid worlds walk and get in each other's way.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "ascore/envs/gridworld/ground.hpp"
#include "ascore/envs/harvest.hpp"
#include "solo_env.hpp"

namespace ascore {
namespace {

using grid::Frame;
using grid::Profile;

/// Agents on an open floor of 5 x 5 without apples in reach, facing up, moved by one step.
class Floor {
 public:
  Floor(const std::vector<std::uint16_t>& cells, Profile profile = Profile::kSsd,
        Frame frame = Frame::kProfile)
      : solo({.num_agents = static_cast<int>(cells.size()),
              .map = "PPPPP\nPPPPP\nPPPPP\nPPPPP\nPPPPP\n@@@@A",
              .profile = profile,
              .move_frame = frame}) {
    solo.reset();
    auto& agents = solo.env.state().agents;
    std::ranges::copy(cells, agents.cell.all().begin());
    std::ranges::fill(agents.orientation.all(), grid::kUp);
  }

  std::vector<std::uint16_t> moved(const std::vector<std::int32_t>& action,
                                   std::uint64_t draw = 1) {
    Rng rng = SoloEnv<Harvest>::stream(draw);
    solo.step(action, rng);
    const auto cell = solo.env.state().agents.cell.all().first(action.size());
    return {cell.begin(), cell.end()};
  }

  SoloEnv<Harvest> solo;
};

using Where = std::vector<std::uint16_t>;

constexpr auto kL = grid::kMoveLeft, kR = grid::kMoveRight, kU = grid::kMoveUp,
               kD = grid::kMoveDown, kS = grid::kStay, kTurn = grid::kTurnClockwise,
               kBack = grid::kTurnCounterclockwise;

TEST_CASE("agents walk, and stop at walls and the edge of the map") {
  CHECK(Floor({12}).moved({kU}) == Where{7});
  CHECK(Floor({12}).moved({kR}) == Where{13});
  CHECK(Floor({12}).moved({kD}) == Where{17});
  CHECK(Floor({12}).moved({kL}) == Where{11});
  CHECK(Floor({12}).moved({kS}) == Where{12});
  CHECK(Floor({2}).moved({kU}) == Where{2});
  CHECK(Floor({10}).moved({kL}) == Where{10});  // not to the end of the row before
  CHECK(Floor({14}).moved({kR}) == Where{14});
  CHECK(Floor({20}).moved({kD}) == Where{20});  // a wall
  CHECK(Floor({24}).moved({kD}) == Where{29});
}

TEST_CASE("moves are relative to where an agent faces, or to the map") {
  for (const auto& [faced, forward, right] :
       {std::array{0, 7, 13}, {1, 13, 17}, {2, 17, 11}, {3, 11, 7}}) {
    const int orientation = faced;  // Clang 14 lets no lambda, as in CAPTURE, take a binding
    CAPTURE(orientation);
    for (const auto frame : {Frame::kProfile, Frame::kEgo, Frame::kAbs}) {
      const bool ego = frame != Frame::kAbs;
      Floor floor({12}, Profile::kSsd, frame);
      auto& agents = floor.solo.env.state().agents;
      agents.orientation[0] = static_cast<std::uint8_t>(orientation);
      CHECK(floor.moved({kU})[0] == (ego ? forward : 7));
      agents.cell[0] = 12;
      CHECK(floor.moved({kR})[0] == (ego ? right : 13));
      agents.cell[0] = 12;
      CHECK(floor.moved({kTurn})[0] == 12);
      CHECK(agents.orientation[0] == (orientation + 1) % 4);
      floor.moved({kBack});
      floor.moved({kBack});
      CHECK(agents.orientation[0] == (orientation + 3) % 4);
    }
    Floor old({12}, Profile::kFeatures);
    old.solo.env.state().agents.orientation[0] = static_cast<std::uint8_t>(orientation);
    CHECK(old.moved({kU}) == Where{7});
  }
}

TEST_CASE("a queue moves on, agents that would change places stay, a ring turns") {
  CHECK(Floor({12, 11, 10}).moved({kR, kR, kR}) == Where{13, 12, 11});
  CHECK(Floor({12, 11, 10}).moved({kS, kR, kR}) == Where{12, 11, 10});
  CHECK(Floor({14, 13, 12}).moved({kR, kR, kR}) == Where{14, 13, 12});  // at the edge
  CHECK(Floor({11, 12}).moved({kR, kL}) == Where{11, 12});
  CHECK(Floor({11, 12, 10}).moved({kR, kL, kR}) == Where{11, 12, 10});
  CHECK(Floor({6, 7, 12, 11}).moved({kR, kD, kL, kU}) == Where{7, 12, 11, 6});
}

TEST_CASE("one of several gets a free cell, whoever the draw puts first") {
  int first = 0;
  for (std::uint64_t draw = 1; draw <= 400; ++draw) {
    const Where where = Floor({11, 13}).moved({kR, kL}, draw);
    const bool one = where == Where{12, 13};
    CHECK((one || where == Where{11, 12}));
    first += one ? 1 : 0;
  }
  CHECK(first > 160);
  CHECK(first < 240);
}

TEST_CASE("a cell whose occupant stays or comes the other way is nobody's") {
  CHECK(Floor({11, 13, 12}).moved({kR, kL, kS}) == Where{11, 13, 12});
  // Agent 2 would change places with agent 0: neither 0 nor 1 gets its cell.
  for (std::uint64_t draw = 1; draw <= 20; ++draw) {
    CHECK(Floor({11, 13, 12}).moved({kR, kL, kL}, draw) == Where{11, 13, 12});
  }
  // Agent 2 makes way downwards: one of the two gets in.
  const Where where = Floor({11, 13, 12}).moved({kR, kL, kD});
  CHECK(where[2] == 17);
  CHECK((where[0] == 12) != (where[1] == 12));
}

TEST_CASE("whoever loses a cell blocks those behind") {
  bool seen_win = false, seen_loss = false;
  for (std::uint64_t draw = 1; draw <= 40; ++draw) {
    // 0 and 1 want cell 12; 2 follows 0.
    const Where where = Floor({11, 13, 10}).moved({kR, kL, kR}, draw);
    if (where == Where{12, 13, 11})
      seen_win = true;
    else if (where == Where{11, 12, 10})
      seen_loss = true;
    else
      FAIL("an outcome that the rules do not allow");
  }
  CHECK(seen_win);
  CHECK(seen_loss);
}

TEST_CASE("profile features: stayers and earlier movers are safe, all others can be run into") {
  const auto features = Profile::kFeatures;
  CHECK(Floor({12, 11}, features).moved({kS, kR}) == Where{12, 11});
  CHECK(Floor({12, 11}, features).moved({kTurn, kR}) == Where{12, 12});
  CHECK(Floor({11, 12}, features).moved({kR, kL}) == Where{12, 11});
  CHECK(Floor({11, 13}, features).moved({kR, kL}) == Where{12, 13});
  CHECK(Floor({11, 12}, features).moved({kR, kR}) == Where{12, 13});
  CHECK(Floor({14, 13}, features).moved({kR, kR}) == Where{14, 14});  // the edge claims nothing
}

TEST_CASE("of a crowd the same may go where they want to as of few") {
  constexpr std::size_t kWide = 6;
  int hindered = 0, granted = 0;
  Rng chance(7, 0, 0, 0, Domain::kAction);
  for (std::uint64_t draw = 0; draw < 4000; ++draw) {
    const std::size_t n = 2 + chance.below(34);
    std::vector<std::uint16_t> cells(kWide * kWide);
    std::iota(cells.begin(), cells.end(), std::uint16_t{0});
    chance.choose(cells, n);
    std::vector<std::int32_t> action(n);
    grid::Cells<kMaxAgents> wish{};
    grid::Cells<grid::kMaxCells> wishes{};
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t row = cells[i] / kWide, col = cells[i] % kWide;
      action[i] = static_cast<std::int32_t>(chance.below(5));
      std::size_t to = cells[i];
      if (action[i] == grid::kMoveLeft && col > 0) to -= 1;
      if (action[i] == grid::kMoveRight && col + 1 < kWide) to += 1;
      if (action[i] == grid::kMoveUp && row > 0) to -= kWide;
      if (action[i] == grid::kMoveDown && row + 1 < kWide) to += kWide;
      wish[i] = wishes[i] = static_cast<std::uint16_t>(to);
    }
    std::vector<std::uint16_t> few = cells, many = cells;
    grid::claim(n, action, wish, few.data());
    grid::claim(n, action, wishes, many.data());
    REQUIRE(few == many);

    const Rng rng(7, 0, 0, draw, Domain::kDynamics);
    const bool free = grid::unhindered(n, cells.data(), wish);
    const auto told = free ? wish : grid::contend(n, rng, cells.data(), wish);
    grid::contend(grid::Crowd{n}, rng, cells.data(), wishes);
    for (std::size_t i = 0; i < n; ++i) REQUIRE(wishes[i] == told[i]);
    (free ? granted : hindered) += 1;
  }
  CHECK(granted > 100);
  CHECK(hindered > 1000);
}

TEST_CASE("every step takes the same words, contest or not") {
  for (const std::vector<std::int32_t>& action :
       {std::vector<std::int32_t>{kR, kL, kS, kS}, {kS, kS, kS, kS}}) {
    Floor floor({11, 13, 3, 4});
    Rng rng = SoloEnv<Harvest>::stream(9);
    Rng same = rng;
    floor.solo.step(action, rng);
    for (int word = 0; word < 3; ++word) same.next();
    CHECK(rng.next() == same.next());  // no apple is missing, so nothing else is drawn
  }
}

}  // namespace
}  // namespace ascore
