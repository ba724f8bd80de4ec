#include "ascore/rng.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <vector>

namespace ascore {
namespace {

// Expected words are the output of
//   numpy.random.Philox(key=numpy.array([seed, env], "u8"),
//                       counter=numpy.array([0, step, episode, domain], "u8")).random_raw(9)

TEST_CASE("known answers: everything zero") {
  Rng rng(0, 0, 0, 0, Domain::kDynamics);
  const std::array<std::uint64_t, 9> numpy{
      0x02f4ba6408e4d89b, 0x3dd62b0b9ca8c5b2, 0x1c8667a55d902e79,
      0x907d7a052fd5b4dc, 0x809bf322883987c3, 0x471128b9e807f7dd,
      0xf250ba0dbec065b7, 0xfc6ed66767a457bc, 0x40fa86f0f781945d};
  for (const std::uint64_t word : numpy) CHECK(rng.next() == word);
}

TEST_CASE("known answers: seed 7, environment 3, episode 2, step 5, action stream") {
  Rng rng(7, 3, 2, 5, Domain::kAction);
  const std::array<std::uint64_t, 9> numpy{
      0xfc2b183752b0eb40, 0x7a653810accca64c, 0x8c7bb5cb237a2427,
      0xcad295097b1f918e, 0xb7cf81dd0f4ef8e9, 0x0da17ad02920de69,
      0x9608c692dda335b7, 0x64c33321e7da06af, 0x51136e95055b8b22};
  for (const std::uint64_t word : numpy) CHECK(rng.next() == word);
}

TEST_CASE("known answers: keys and counters at their largest") {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  Rng rng(kMost, kMost, kMost, kMost, Domain::kAction);
  const std::array<std::uint64_t, 9> numpy{
      0x22ac72d8188cbd9e, 0x78099d7969063386, 0x6f78ad3370ec0927,
      0x96a11ad0b15340dd, 0xa672cd284590f933, 0x8f9313cdd9e2d393,
      0xbd4f515c204a6541, 0x181585f4d7737792, 0x89177f42f9b73cdf};
  for (const std::uint64_t word : numpy) CHECK(rng.next() == word);
}

TEST_CASE("uniform numbers are the top bits of a word") {
  Rng single(7, 3, 2, 5, Domain::kAction);
  CHECK(single.u01_single() == 0xfc2b18 * 0x1p-24F);
  CHECK(single.u01_single() == 0x7a6538 * 0x1p-24F);
  Rng wide(7, 3, 2, 5, Domain::kAction);
  CHECK(wide.u01() == static_cast<double>(0xfc2b183752b0eb40 >> 11) * 0x1p-53);
  CHECK(wide.u01() == static_cast<double>(0x7a653810accca64c >> 11) * 0x1p-53);
}

TEST_CASE("below(n) is the high half of word * n, and takes one word whatever n is") {
  Rng rng(0, 0, 0, 0, Domain::kDynamics);
  CHECK(rng.below(1) == 0);
  CHECK(rng.below(16) == 0x3);    // 0x3dd6... shifted right by 60
  CHECK(rng.below(256) == 0x1c);  // 0x1c86... shifted right by 56
  CHECK(rng.below(0xffffffffffffffff) == 0x907d7a052fd5b4db);
  CHECK(rng.below(25) == 12);  // 0x809b... / 2^64 = 0.50238
  CHECK(rng.next() == 0x471128b9e807f7dd);
}

TEST_CASE("perm(n) swaps downwards and takes n - 1 words") {
  for (const std::size_t n : {1U, 2U, 3U, 8U, 64U}) {
    CAPTURE(n);
    Rng rng(11, 0, 0, n, Domain::kDynamics);
    Rng same(11, 0, 0, n, Domain::kDynamics);
    std::vector<std::uint8_t> order(n, 0xff);
    rng.perm(std::span(order));

    std::vector<std::uint8_t> expected(n);
    for (std::size_t k = 0; k < n; ++k) expected[k] = static_cast<std::uint8_t>(k);
    for (std::size_t k = n - 1; k > 0; --k) std::swap(expected[k], expected[same.below(k + 1)]);
    CHECK(order == expected);
    CHECK(rng.next() == same.next());
    std::ranges::sort(order);
    for (std::size_t k = 0; k < n; ++k) CHECK(order[k] == k);
  }
}

TEST_CASE("perm of nothing takes no word") {
  Rng rng(0, 0, 0, 0, Domain::kDynamics);
  rng.perm(std::span<int>());
  CHECK(rng.next() == 0x02f4ba6408e4d89b);
}

TEST_CASE("choose(list, k) brings k elements to the front and takes k words") {
  Rng rng(5, 0, 0, 0, Domain::kDynamics);
  Rng same(5, 0, 0, 0, Domain::kDynamics);
  std::array<int, 25> cells{};
  for (int i = 0; i < 25; ++i) cells[static_cast<std::size_t>(i)] = i;
  auto expected = cells;
  rng.choose(std::span(cells), 6);
  for (std::size_t d = 0; d < 6; ++d) std::swap(expected[d], expected[d + same.below(25 - d)]);
  CHECK(cells == expected);
  CHECK(rng.next() == same.next());
  CHECK(std::set(cells.begin(), cells.end()).size() == 25);
}

TEST_CASE("choose takes a whole list, too") {
  Rng rng(5, 0, 0, 0, Domain::kDynamics);
  Rng same(5, 0, 0, 0, Domain::kDynamics);
  std::array<int, 3> list{7, 8, 9};
  rng.choose(std::span(list), 3);
  for (int word = 0; word < 3; ++word) same.next();
  CHECK(rng.next() == same.next());
  std::ranges::sort(list);
  CHECK(list == std::array{7, 8, 9});
}

TEST_CASE("discarding words is drawing them") {
  for (std::size_t before = 0; before < 6; ++before) {
    for (std::size_t count = 0; count < 20; ++count) {
      CAPTURE(before);
      CAPTURE(count);
      Rng rng(5, 1, 2, 3, Domain::kDynamics);
      for (std::size_t word = 0; word < before; ++word) rng.next();
      Rng same = rng;
      rng.discard(count);
      for (std::size_t word = 0; word < count; ++word) same.next();
      for (int word = 0; word < 5; ++word) CHECK(rng.next() == same.next());
    }
  }
}

TEST_CASE("a stream some words ago draws them again") {
  for (std::size_t drawn = 0; drawn < 12; ++drawn) {
    Rng rng(7, 3, 2, 5, Domain::kAction);
    std::vector<std::uint64_t> words;
    for (std::size_t k = 0; k < drawn; ++k) words.push_back(rng.next());
    for (std::size_t count = 0; count <= drawn; ++count) {
      CAPTURE(drawn);
      CAPTURE(count);
      Rng earlier = rng.ago(count);
      for (std::size_t k = drawn - count; k < drawn; ++k) CHECK(earlier.next() == words[k]);
      Rng later = rng;
      CHECK(earlier.next() == later.next());
    }
  }
}

TEST_CASE("looking at a block draws nothing") {
  Rng rng(7, 3, 2, 5, Domain::kAction);
  Rng same = rng;
  for (std::size_t word = 0; word < 9; ++word) {
    const auto block = rng.block();
    CHECK(rng.used() == word % block.size());
    CHECK(block[rng.used()] == same.next());
    CHECK(rng.next() == block[word % block.size()]);
  }
}

TEST_CASE("the stream of another episode keeps its other names and begins at its beginning") {
  Rng rng(7, 3, 9, 5, Domain::kAction);
  for (int word = 0; word < 6; ++word) rng.next();
  Rng other = rng.of_episode(2);
  Rng named(7, 3, 2, 5, Domain::kAction);
  for (int word = 0; word < 9; ++word) CHECK(other.next() == named.next());
  Rng same = Rng(7, 3, 9, 5, Domain::kAction);
  for (int word = 0; word < 6; ++word) same.next();
  CHECK(rng.next() == same.next());  // asking takes nothing
}

TEST_CASE("streams that differ in one coordinate share no word") {
  std::set<std::uint64_t> words;
  const auto take = [&words](Rng rng) {
    for (int k = 0; k < 8; ++k) words.insert(rng.next());
  };
  take(Rng(0, 0, 0, 0, Domain::kDynamics));
  take(Rng(1, 0, 0, 0, Domain::kDynamics));
  take(Rng(0, 1, 0, 0, Domain::kDynamics));
  take(Rng(0, 0, 1, 0, Domain::kDynamics));
  take(Rng(0, 0, 0, 1, Domain::kDynamics));
  take(Rng(0, 0, 0, 0, Domain::kAction));
  CHECK(words.size() == 6 * 8);
}

}  // namespace
}  // namespace ascore
