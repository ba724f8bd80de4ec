// Maps, and how agents of the grid worlds get in each other's way.

#include "ascore/envs/gridworld.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/envs/cleanup.hpp"
#include "ascore/envs/harvest.hpp"
#include "world.hpp"

namespace ascore {
namespace {

using grid::Frame;
using grid::Profile;

template <class Params>
std::string complaint(const Params& params) {
  try {
    validate(params);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// ---- maps ------------------------------------------------------------------------------------

TEST_CASE("windows of the published maps hold what was counted by hand") {
  struct Window {
    const char* name;
    int h, r, b, p, s;
  };
  constexpr std::array kWindows{
      Window{"cleanup_full", 56, 63, 103, 10, 12}, Window{"cleanup_top", 23, 27, 40, 2, 12},
      Window{"cleanup_1_9", 23, 27, 40, 2, 12},    Window{"cleanup_3_11", 22, 26, 40, 5, 12},
      Window{"cleanup_9_17", 26, 21, 40, 8, 6},    Window{"cleanup_mid", 20, 26, 40, 8, 0},
      Window{"cleanup_15_23", 22, 20, 41, 3, 0},
  };
  for (const Window& window : kWindows) {
    CAPTURE(window.name);
    const GridMap map = CleanupParams{.map = window.name}.parse();
    CHECK(map.width() == 18);
    CHECK(map.count('H') == window.h);
    CHECK(map.count('R') == window.r);
    CHECK(map.count('B') == window.b);
    CHECK(map.count('P') == window.p);
    CHECK(map.count('S') == window.s);
  }
  CHECK(CleanupParams{.map = "cleanup_full"}.parse().height() == 25);
  CHECK(CleanupParams{}.parse().height() == 11);

  constexpr std::array<std::array<int, 4>, 9> kHarvest{{{2, 6, 68, 4},
                                                        {3, 7, 74, 1},
                                                        {4, 8, 71, 1},
                                                        {5, 9, 65, 3},
                                                        {6, 10, 65, 3},
                                                        {7, 11, 59, 4},
                                                        {8, 12, 58, 5},
                                                        {9, 13, 53, 6},
                                                        {10, 14, 46, 9}}};
  for (const auto& [first, last, apples, spawns] : kHarvest) {
    const std::string name = "harvest_" + std::to_string(first) + "_" + std::to_string(last);
    CAPTURE(name);
    const GridMap map = HarvestParams{.map = name}.parse();
    CHECK(map.count('A') == apples);
    CHECK(map.count('P') == spawns);
    CHECK(map.height() == 7);
  }
  CHECK(HarvestParams{}.parse().count('A') == 58);
  CHECK(HarvestParams{}.parse().count('P') == 9);
  CHECK(HarvestParams{.map = "harvest_full"}.parse().count('A') == 155);
}

TEST_CASE("a broken map is refused with row and column") {
  const auto harvest = [](std::string map) {
    return complaint(HarvestParams{.num_agents = 1, .map = std::move(map)});
  };
  CHECK(harvest("\n@@@\n@AP\n@@@\n\n") == "");
  CHECK(harvest("@@@\n@XP\n@@@") == "map row 1, column 1 holds 'X'; allowed are '@' 'A' 'P' ' '");
  CHECK(mentions(harvest("@@@\r\n@AP\r\n"), "map row 0, column 3 holds the byte 0x0d"));
  CHECK(mentions(harvest("@A@\n@P\n"), "map row 1 has 2 columns and row 0 has 3"));
  CHECK(mentions(harvest("@A@\n\n@P@"), "map row 1 has 0 columns"));
  CHECK(mentions(harvest("@@\n@P"), "0 cells 'A' (where apples grow), want 1..1024"));
  CHECK(mentions(harvest("A\nA"), "num_agents = 1 needs as many cells 'P'"));
  CHECK(harvest("\n\n") == "map is empty; want rows of characters");
  CHECK(mentions(harvest(std::string(65, 'A') + "\n" + std::string(65, 'P')), "has 65 columns"));
  std::string tall = "AP";
  for (int row = 1; row < 64; ++row) tall += "\nAP";
  CHECK(harvest(tall) == "");
  CHECK(mentions(harvest(tall + "\nAP"), "map row 64 is one too many"));
  std::string apples = std::string(64, 'P');
  for (int row = 0; row < 17; ++row) apples.append(1, '\n').append(64, 'A');
  CHECK(mentions(harvest(apples), "has 1088 cells 'A'"));
  for (const char* name :
       {"", "harvest", "harvest_", "harvest_0_3", "harvest_3_2", "harvest_1_15", "harvest_1_2_3",
        "harvest_1_", "harvest_-1_2", "harvest_01_2", "harvest_1_02", "harvest_mid", "cleanup_top",
        "harvest_99999999999999999999_2"}) {
    CAPTURE(name);
    CHECK(mentions(harvest(name), "is no map; want harvest_top, harvest_full, harvest_A_B"));
  }
  CHECK(harvest("harvest_14_14") == "");
  CHECK(mentions(complaint(CleanupParams{.map = "\nPPB\n"}), "0 river cells 'H' and 'R'"));
  CHECK(complaint(CleanupParams{.map = "\nPPBR\n"}) == "");
  CHECK(
      mentions(complaint(CleanupParams{.num_agents = 3}),
               "num_agents = 3 needs as many cells 'P' to start from; map \"cleanup_top\" has 2"));
  CHECK(mentions(complaint(HarvestParams{.append_orientation = true}), "append_orientation"));
  CHECK(mentions(complaint(CleanupParams{.threshold_depletion = 0.2, .threshold_restoration = 0.2}),
                 "threshold_restoration = 0.2 must be below threshold_depletion = 0.2"));
}

TEST_CASE("identities of texts differ, and fit on a line") {
  const std::string one = to_text(std::string("@@@\n@AP\n@@@"));
  CHECK(one.find('\n') == std::string::npos);
  CHECK(one != to_text(std::string("@@@/@AP/@@@")));
  CHECK(one != to_text(std::string("@@@\n@AP\n@A@")));
  CHECK(to_text(std::string("harvest_top")) == "\"harvest_top\"");
  CHECK(to_text(std::string(5000, 'a')).size() < 120);
}

// ---- sites and growth -------------------------------------------------------------------------

TEST_CASE("members of a set by rank, within one word and beyond") {
  Rng chance(5, 6, 7, 8, Domain::kAction);
  for (const std::size_t sites : {1, 8, 58, 64, 65, 155, 1024}) {
    for (const std::uint64_t in_ten : {0, 1, 5, 9, 10}) {
      CAPTURE(sites);
      CAPTURE(in_ten);
      grid::SiteSet set;
      std::vector<std::size_t> members;
      for (std::size_t site = 0; site < sites; ++site) {
        if (chance.below(10) >= in_ten) continue;
        set.insert(site);
        members.push_back(site);
      }
      CHECK(set.size() == members.size());
      CHECK(set.size((sites + 63) / 64) == members.size());
      for (std::size_t rank = 0; rank < members.size(); ++rank) {
        REQUIRE(set.nth(rank) == members[rank]);
      }
    }
  }
}

TEST_CASE("a screen lets through whose byte is low, and they draw after all bytes") {
  for (const std::size_t sites : {1, 7, 8, 9, 24, 32, 33, 64, 155}) {
    for (const double top : {0.0, 0.003, 0.05, 0.499, 0.5, 0.502, 0.9, 1.0}) {
      for (std::size_t before = 0; before < 5; ++before) {
        CAPTURE(sites);
        CAPTURE(top);
        CAPTURE(before);
        Rng rng(3, 1, 4, static_cast<std::uint64_t>(sites), Domain::kDynamics);
        for (std::size_t word = 0; word < before; ++word) rng.next();
        Rng naive = rng;
        std::vector<std::size_t> through;
        std::uint64_t word = 0;
        for (std::size_t site = 0; site < sites && top > 0; ++site) {
          if (site % 8 == 0) word = naive.next();
          if (static_cast<double>(word >> 8 * (site % 8) & 0xFF) < std::ceil(top * 256)) {
            through.push_back(site);
          }
        }
        std::vector<std::size_t> grown;
        grid::Screen(top).draw(rng, grid::SiteSet::first(sites), (sites + 63) / 64,
                               [&](std::size_t site, double number) {
                                 grown.push_back(site);
                                 CHECK(number == naive.u01());
                               });
        CHECK(grown == through);
        CHECK(rng.next() == naive.next());
      }
    }
  }
}

// ---- movement --------------------------------------------------------------------------------

/// Agents on an open floor of 5 x 5 without apples in reach, facing up, moved by one step.
class Floor {
 public:
  Floor(const std::vector<std::uint16_t>& cells, Profile profile = Profile::kSsd,
        Frame frame = Frame::kProfile)
      : world({.num_agents = static_cast<int>(cells.size()),
               .map = "PPPPP\nPPPPP\nPPPPP\nPPPPP\nPPPPP\n@@@@A",
               .profile = profile,
               .move_frame = frame}) {
    world.reset();
    auto& agents = world.env.state().agents;
    std::ranges::copy(cells, agents.cell.begin());
    agents.orientation.fill(grid::kUp);
  }

  std::vector<std::uint16_t> moved(const std::vector<std::int32_t>& action,
                                   std::uint64_t draw = 1) {
    Rng rng = World<Harvest>::stream(draw);
    world.step(action, rng);
    const auto& cell = world.env.state().agents.cell;
    return {cell.begin(), cell.begin() + static_cast<std::ptrdiff_t>(action.size())};
  }

  World<Harvest> world;
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
  for (const auto& [orientation, forward, right] :
       {std::array{0, 7, 13}, {1, 13, 17}, {2, 17, 11}, {3, 11, 7}}) {
    CAPTURE(orientation);
    for (const auto frame : {Frame::kProfile, Frame::kEgo, Frame::kAbs}) {
      const bool ego = frame != Frame::kAbs;
      Floor floor({12}, Profile::kSsd, frame);
      auto& agents = floor.world.env.state().agents;
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
    old.world.env.state().agents.orientation[0] = static_cast<std::uint8_t>(orientation);
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

TEST_CASE("every step takes the same words, contest or not") {
  for (const std::vector<std::int32_t>& action :
       {std::vector<std::int32_t>{kR, kL, kS, kS}, {kS, kS, kS, kS}}) {
    Floor floor({11, 13, 3, 4});
    Rng rng = World<Harvest>::stream(9);
    Rng same = rng;
    floor.world.step(action, rng);
    for (int word = 0; word < 3; ++word) same.next();
    CHECK(rng.next() == same.next());  // no apple is missing, so nothing else is drawn
  }
}

}  // namespace
}  // namespace ascore
