// Maps of the grid worlds: what they hold, and why some are refused.

#include "ascore/envs/gridmap.hpp"

#include <doctest/doctest.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "ascore/envs/cleanup.hpp"
#include "ascore/envs/harvest.hpp"

namespace ascore {
namespace {

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
  // As published: https://github.com/011235813/lio, lio/env/maps.py.
  const GridMap lio7 = CleanupParams{.map = "cleanup_lio7"}.parse();
  CHECK(lio7.height() == 7);
  CHECK(lio7.width() == 7);
  CHECK(lio7.count('H') + lio7.count('R') == 2);
  CHECK(lio7.count('B') == 5);
  CHECK(lio7.count('P') == 2);
  const GridMap lio10 = CleanupParams{.map = "cleanup_lio10"}.parse();
  CHECK(lio10.height() == 10);
  CHECK(lio10.width() == 10);
  CHECK(lio10.count('H') == 8);
  CHECK(lio10.count('R') == 8);
  CHECK(lio10.count('B') == 12);
  CHECK(lio10.count('P') == 3);
  CHECK(mentions(complaint(CleanupParams{.map = "cleanup_lio8"}),
                 "cleanup_full, cleanup_lio7, cleanup_lio10, cleanup_A_B"));
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

}  // namespace
}  // namespace ascore
