// Sets of sites, and which sites random growth draws.

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ascore/envs/gridworld/screen.hpp"
#include "ascore/envs/gridworld/sites.hpp"
#include "ascore/rng.hpp"

namespace ascore {
namespace {

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

}  // namespace
}  // namespace ascore
