/// What Cleanup and Harvest share: sites on a map, agents that walk, turn and get in each other's
/// way, and the ways of observing them.
///
/// Rules: Hughes et al. 2018, "Inequity aversion improves cooperation in intertemporal social
/// dilemmas", and Christoffersen et al. 2023, "Get it in writing". `docs/decisions.md` lists what
/// was decided where these are silent.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "ascore/env.hpp"
#include "ascore/envs/gridmap.hpp"
#include "ascore/rng.hpp"

namespace ascore::grid {

enum class Profile : std::uint8_t { kSsd, kFeatures };
enum class Frame : std::uint8_t { kProfile, kEgo, kAbs };
enum class ObsMode : std::uint8_t { kPlanes, kRgb, kLocal, kFeatures };
enum class Graph : std::uint8_t { kComplete, kRadius };
enum class Metric : std::uint8_t { kChebyshev, kManhattan };

/// The parameters both environments have; a template, so that each keeps a plain `Params`.
template <class Params, class Row>
void visit_shared(Params& p, std::string_view maps, Row&& row) {
  row("num_agents", p.num_agents, Range{1, kMaxAgents}, "agents; the map needs a P for each",
      "assumption; the paper is silent");
  row("map", p.map, Text{maps}, "the map: a name, or its rows with line breaks between them",
      "paper section 5.1 gives the size; which rows of the published map is an assumption");
  row("profile", p.profile, one_of("ssd", "features"),
      "which published dynamics: those of the full-map environments, or the older ones of the "
      "hand-made features",
      "Christoffersen et al. 2023, code");
  row("move_frame", p.move_frame, one_of("profile", "ego", "abs"),
      "whether moves are relative to where an agent faces or to the map; profile: ego in ssd, abs "
      "in features",
      "Christoffersen et al. 2023, code");
  row("horizon", p.horizon, Range{1, 1'000'000'000}, "steps until an episode is truncated",
      "paper section 5.1");
  row("obs_mode", p.obs_mode, one_of("planes", "rgb", "local", "features"),
      "what is observed: one plane of bits per kind of thing; the coloured map; per agent a "
      "15 x 15 window that turns with it; per agent a few numbers",
      "assumption; the paper says full state");
  row("append_orientation", p.append_orientation, Either{},
      "whether rgb is followed by every agent's orientation, which colours do not show",
      "assumption");
  row("graph", p.graph, one_of("complete", "radius"),
      "who hears whom: everybody, or whoever is within neigh_radius",
      "assumption; the paper is silent");
  row("neigh_radius", p.neigh_radius, Range{0, 2 * GridMap::kMaxSide},
      "cells within which agents hear each other if graph = radius", "assumption");
  row("neigh_metric", p.neigh_metric, one_of("cheb", "manhattan"),
      "distance for neigh_radius: Chebyshev or Manhattan", "assumption");
}

/// What goes together among the shared parameters.
template <class Params>
void check_shared(const Params& p, const GridMap& map) {
  if (p.append_orientation && p.obs_mode != ObsMode::kRgb) {
    throw std::invalid_argument("append_orientation = true goes with obs_mode = \"rgb\" only");
  }
  if (map.count('P') < p.num_agents) {
    throw std::invalid_argument("num_agents = " + std::to_string(p.num_agents) +
                                " needs as many cells 'P' to start from; map " + map.given_name() +
                                " has " + std::to_string(map.count('P')));
  }
}

// ---- sites -----------------------------------------------------------------------------------

/// Most sites of one kind (apple cells, river cells) on a map.
inline constexpr int kMaxSites = 1024;

/// The site of a cell that is none. No set that is shown contains it, so that looking it up needs
/// no branch: where agents go cannot be predicted.
inline constexpr std::uint16_t kNoSite = kMaxSites;

/// Eight numbers below 128 in the bytes of a word. Neither branches, since what they would depend
/// on cannot be predicted, nor std::popcount, which is a call unless it is built for one kind of
/// processor.
struct Bytes {
  static constexpr std::uint64_t kOnes = 0x0101010101010101;
  static constexpr std::uint64_t kTops = 0x80 * kOnes;

  /// Byte k: how many bits of `x` are set in byte k and below.
  static constexpr std::uint64_t running_counts(std::uint64_t x) noexcept {
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    return ((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F) * kOnes;
  }

  /// How many bytes are at most `limit`.
  static constexpr std::size_t at_most(std::uint64_t limit, std::uint64_t bytes) noexcept {
    return ((((limit * kOnes | kTops) - bytes) & kTops) >> 7) * kOnes >> 56;
  }
};

/// A set of sites, which are numbered row by row, with room for kNoSite.
class SiteSet {
 public:
  static constexpr std::size_t kBits = 64;
  static constexpr std::size_t kWords = kMaxSites / kBits + 1;

  SiteSet() noexcept : words_{} {}

  bool contains(std::size_t site) const noexcept {
    return (words_[site / kBits] >> (site % kBits) & 1) != 0;
  }
  void insert(std::size_t site) noexcept { words_[site / kBits] |= bit(site); }
  void erase(std::size_t site) noexcept { words_[site / kBits] &= ~bit(site); }

  /// Sites 0 to 63, as bits.
  std::uint64_t first_word() const noexcept { return words_[0]; }

  std::size_t size(std::size_t words = kWords) const noexcept {
    const std::size_t first = count(words_[0]);
    return words == 1 ? first : first + size_beyond(words);
  }

  bool within(const SiteSet& all) const noexcept {
    bool outside = false;
    for (std::size_t w = 0; w < kWords; ++w) outside |= (words_[w] & ~all.words_[w]) != 0;
    return !outside;
  }

  /// {0, ..., count - 1}
  static SiteSet first(std::size_t count) noexcept {
    SiteSet all;
    for (std::size_t site = 0; site < count; ++site) all.insert(site);
    return all;
  }

  /// What `all` has and neither `taken` nor `closed`. `words` covers `all`.
  static SiteSet without(const SiteSet& all, const SiteSet& taken, const SiteSet& closed,
                         std::size_t words) noexcept {
    SiteSet rest{Unset{}};
    const auto word = [&](std::size_t w) {
      return all.words_[w] & ~(taken.words_[w] | closed.words_[w]);
    };
    rest.words_[0] = word(0);  // apart: most sets have no other
    for (std::size_t w = 1; w < words; ++w) rest.words_[w] = word(w);
    return rest;
  }

  /// The member that `rank` others precede; needs rank < size().
  std::size_t nth(std::size_t rank) const noexcept {
    const std::uint64_t counts = Bytes::running_counts(words_[0]);
    return rank < counts >> 56 ? nth_bit(words_[0], counts, rank) : nth_beyond(rank);
  }

  template <class Visitor>
  void for_each(std::size_t words, Visitor&& visitor) const noexcept {
    for (std::size_t w = 0; w < words; ++w) {
      for (std::uint64_t rest = words_[w]; rest != 0; rest &= rest - 1) {
        visitor(w * kBits + static_cast<std::size_t>(std::countr_zero(rest)));
      }
    }
  }

 private:
  friend struct Sites;

  // What lies beyond the first word is apart and never inlined: most sets have no other, and
  // compilers would count the bits of all words in advance.

  [[gnu::noinline]] std::size_t size_beyond(std::size_t words) const noexcept {
    std::size_t total = 0;
    for (std::size_t w = 1; w < words; ++w) total += count(words_[w]);
    return total;
  }

  [[gnu::noinline]] std::size_t nth_beyond(std::size_t rank) const noexcept {
    for (std::size_t w = 0;; ++w) {
      const std::uint64_t counts = Bytes::running_counts(words_[w]);
      const std::size_t here = counts >> 56;
      if (rank < here) return w * kBits + nth_bit(words_[w], counts, rank);
      rank -= here;
    }
  }

  static std::size_t count(std::uint64_t word) noexcept {
    return Bytes::running_counts(word) >> 56;
  }

  /// The bit that `rank` lower ones precede: first its byte, then its place there.
  static std::size_t nth_bit(std::uint64_t word, std::uint64_t counts, std::size_t rank) noexcept {
    const std::size_t from = 8 * Bytes::at_most(rank, counts);
    const std::uint64_t left = rank - (counts << 8 >> from & 0xFF);
    const std::uint64_t spread = (word >> from & 0xFF) * Bytes::kOnes & 0x8040201008040201;
    const std::uint64_t ones = (spread + (Bytes::kTops - Bytes::kOnes)) >> 7 & Bytes::kOnes;
    return from + Bytes::at_most(left, ones * Bytes::kOnes);
  }

  static std::uint64_t bit(std::size_t site) noexcept { return std::uint64_t{1} << (site % kBits); }

  /// A set of which only the words in use will be written and read: clearing all would take longer
  /// than all that is done with it.
  struct Unset {};
  explicit SiteSet(Unset) noexcept {}

  std::array<std::uint64_t, kWords> words_;
};

/// The cells of one kind, in row-major order.
struct Sites {
  Sites(const GridMap& map, std::string_view kinds)
      : at(static_cast<std::size_t>(map.size()), kNoSite), bit(at.size()) {
    for (std::size_t c = 0; c < at.size(); ++c) {
      if (kinds.find(map.cells()[c]) == std::string_view::npos) continue;
      at[c] = static_cast<std::uint16_t>(cell.size());
      bit[c] = SiteSet::bit(cell.size());
      cell.push_back(static_cast<std::uint16_t>(c));
    }
    all = SiteSet::first(std::min<std::size_t>(cell.size(), kMaxSites));
    words = (cell.size() + SiteSet::kBits - 1) / SiteSet::kBits;
  }

  /// The sites of n cells, a number or a constant.
  template <class Count>
  SiteSet on(Count n, const std::uint16_t* cells) const noexcept {
    SiteSet found{SiteSet::Unset{}};
    if (words == 1) {
      found.words_[0] = 0;
      for (std::size_t i = 0; i < n; ++i) found.words_[0] |= bit[cells[i]];
      return found;
    }
    found = {};
    for (std::size_t i = 0; i < n; ++i) {
      found.words_[at[cells[i]] / SiteSet::kBits] |= bit[cells[i]];
    }
    return found;
  }

  std::vector<std::uint16_t> at;    ///< site on a cell, or kNoSite
  std::vector<std::uint64_t> bit;   ///< of that site in its word of a set, or 0
  std::vector<std::uint16_t> cell;  ///< cell of a site
  SiteSet all;
  std::size_t words = 0;  ///< of a SiteSet that are in use
};

// ---- growth ----------------------------------------------------------------------------------

/// Random events of small probability on many sites. A byte decides whether a site comes into
/// question at all, at `top`, the greatest probability any site has, rounded up; only those few
/// draw a number of their own. A word for every site would take most of the time of a step.
class Screen {
 public:
  explicit Screen(double top = 0) noexcept
      : limit_(static_cast<unsigned>(std::ceil(top * 256.0))),
        half_(limit_ <= 128 ? limit_ * Bytes::kOnes : (limit_ - 128) * Bytes::kOnes) {}

  /// What a site of probability `chance` <= top has to stay below once it is through.
  double threshold(double chance) const noexcept {
    return limit_ == 0 ? 0.0 : chance * 256.0 / limit_;
  }

  /// Calls `grow(site, number)`, number uniform in [0, 1), for every site of `set` that gets
  /// through, in order. `words` covers the set. Eight sites share a word, the lowest byte first.
  template <class Grow>
  void draw(Rng& rng, const SiteSet& set, std::size_t words, Grow&& grow) const noexcept {
    if (limit_ == 0) return;
    const std::size_t size = set.size(words);
    std::array<std::uint16_t, kMaxSites> through;  // how many sites of the set precede
    std::size_t count = 0;
    std::size_t first = 0;
    do {  // a block of words at a time: how many of them are wanted cannot be predicted
      const auto& block = rng.block();
      std::uint64_t low = 0;  // bit k: the site with rank first + k gets through
      for (std::size_t k = 0; k < block.size(); k += 2) {
        low |= below_limit(block[k], block[k + 1]) << 8 * k;
      }
      low >>= 8 * rng.used();
      const std::size_t here = std::min(size - first, 8 * (block.size() - rng.used()));
      low &= (std::uint64_t{1} << here) - 1;
      rng.discard((here + 7) / 8);
      for (; low != 0; low &= low - 1) {
        const std::size_t k = static_cast<std::size_t>(std::countr_zero(low));
        through[count++] = static_cast<std::uint16_t>(first + k);
      }
      first += here;
    } while (first < size);
    for (std::size_t k = 0; k < count; ++k) grow(set.nth(through[k]), rng.u01());
  }

 private:
  /// Bit k says whether byte k is below the limit: eight comparisons in one word, by subtracting
  /// from bytes whose top bit is set, so that none borrows from the next.
  std::uint64_t below_limit(std::uint64_t bytes) const noexcept {
    const std::uint64_t rest = (bytes | Bytes::kTops) - half_;
    const std::uint64_t not_below = limit_ <= 128 ? bytes | rest : bytes & rest;
    constexpr std::uint64_t kGather = 0x0102040810204080;  // top bits side by side
    return (~not_below >> 7 & Bytes::kOnes) * kGather >> 56;
  }

  /// The same of two words.
  std::uint64_t below_limit(std::uint64_t first, std::uint64_t second) const noexcept {
#ifdef __SSE2__
    // Read as two words: they were just written so, and one load of both would wait for memory.
    const __m128i bytes =
        _mm_set_epi64x(static_cast<std::int64_t>(second), static_cast<std::int64_t>(first));
    const __m128i most = _mm_set1_epi8(static_cast<char>(limit_ - 1));
    const __m128i below = _mm_cmpeq_epi8(_mm_min_epu8(bytes, most), bytes);
    return static_cast<std::uint64_t>(_mm_movemask_epi8(below));
#else
    return below_limit(first) | below_limit(second) << 8;
#endif
  }

  unsigned limit_;
  std::uint64_t half_;  ///< in every byte, the limit, or by how much it is beyond 128
};

// ---- agents ----------------------------------------------------------------------------------

enum Direction : std::uint8_t { kUp, kRight, kDown, kLeft };

enum Action : std::int32_t {
  kMoveLeft,
  kMoveRight,
  kMoveUp,
  kMoveDown,
  kStay,
  kTurnClockwise,
  kTurnCounterclockwise,
  kClean,
};

inline constexpr std::array<std::string_view, 8> kActionNames{
    "left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "clean"};

/// Where every agent is and which way it faces; entries from num_agents on are unused and zero.
struct Agents {
  std::array<std::uint16_t, kMaxAgents> cell;
  std::array<std::uint8_t, kMaxAgents> orientation;
};

using Cells = std::array<std::uint16_t, kMaxAgents>;

/// The ground that agents walk on: what never changes in an environment, shared by its copies.
class Ground {
 public:
  template <class Params>
  Ground(const GridMap& map, const Params& p)
      : height(map.height()),
        width(map.width()),
        cells(static_cast<std::size_t>(map.size())),
        num_agents(static_cast<std::size_t>(p.num_agents)),
        profile(p.profile),
        graph(p.graph),
        radius(p.neigh_radius),
        metric(p.neigh_metric),
        tile(map.cells()),
        next_(cells) {
    const bool egocentric = p.move_frame == Frame::kEgo ||
                            (p.move_frame == Frame::kProfile && p.profile == Profile::kSsd);
    for (std::size_t a = 0; a < kActionNames.size(); ++a) {
      for (std::size_t o = 0; o < 4; ++o) {
        const std::size_t forward = egocentric ? o : 0;
        outcome_[a][o] = {
            static_cast<std::uint8_t>(a < kStay ? (kBase[a] + forward) % 4 : kNowhere),
            static_cast<std::uint8_t>((o + kTurn[a]) % 4)};
      }
    }
    for (int row = 0; row < height; ++row) {
      for (int col = 0; col < width; ++col) {
        const auto c = static_cast<std::size_t>(row * width + col);
        if (tile[c] == 'P') spawns.push_back(static_cast<std::uint16_t>(c));
        const auto beside = [&](int down, int right) {
          const int r = row + down;
          const int k = col + right;
          const bool inside = r >= 0 && k >= 0 && r < height && k < width;
          return static_cast<std::uint16_t>(inside && map.at(r, k) != '@' ? r * width + k
                                                                          : static_cast<int>(c));
        };
        next_[c] = {beside(-1, 0), beside(0, 1), beside(1, 0), beside(0, -1), beside(0, 0)};
      }
    }
  }

  /// Whether there is a cell without wall next to `cell` in this direction.
  bool open(std::size_t cell, std::size_t direction) const noexcept {
    return next_[cell][direction] != cell;
  }

  /// The cell next to `cell` in this direction, or itself at a wall or the edge of the map.
  std::uint16_t next(std::size_t cell, std::size_t direction) const noexcept {
    return next_[cell][direction];
  }

  int row(std::size_t cell) const noexcept { return static_cast<int>(cell) / width; }
  int col(std::size_t cell) const noexcept { return static_cast<int>(cell) % width; }

  /// Every agent on a spawn cell of its own, facing anywhere.
  void place(Rng& rng, Agents& s) const noexcept {
    std::array<std::uint16_t, GridMap::kMaxSide * GridMap::kMaxSide> storage;
    std::size_t free = spawns.size();
    std::copy_n(spawns.begin(), free, storage.begin());
    const auto turn = [&](std::size_t i) {
      s.orientation[i] = static_cast<std::uint8_t>(rng.below(4));
    };
    for (std::size_t i = 0; i < num_agents; ++i) {
      const std::size_t k = rng.below(free);
      s.cell[i] = storage[k];
      std::copy(storage.begin() + static_cast<std::ptrdiff_t>(k) + 1,
                storage.begin() + static_cast<std::ptrdiff_t>(free),
                storage.begin() + static_cast<std::ptrdiff_t>(k));  // the rest stays in row order
      --free;
      if (profile == Profile::kSsd) turn(i);
    }
    if (profile == Profile::kFeatures) {
      for (std::size_t i = 0; i < num_agents; ++i) turn(i);
    }
  }

  /// Moves all n agents, a number or a constant, with the rules of the profile for agents that get
  /// in each other's way. In the profile ssd they turn as well; in features that comes later, by
  /// `turn`.
  template <class Count>
  void move(Count n, Rng& rng, std::span<const std::int32_t> action, Agents& s) const noexcept {
    const bool ssd = profile == Profile::kSsd;
    if constexpr (few<Count>()) {
      if (ssd) return move_few(n, rng, action, s);
    }
    Cells target;
    for (std::size_t i = 0; i < n; ++i) {
      const Outcome outcome = outcome_[static_cast<std::size_t>(action[i])][s.orientation[i]];
      target[i] = next(s.cell[i], outcome.direction);
      s.orientation[i] = ssd ? outcome.orientation : s.orientation[i];
    }
    if (ssd) {
      rng.discard(n - 1);  // what a random order takes
      rng.block();         // nearly always drawn from in this step: computed while agents move
      if (!unhindered(n, s.cell, target)) target = contend(rng.ago(n - 1), s.cell, target);
      for (std::size_t i = 0; i < n; ++i) s.cell[i] = target[i];
    } else {
      claim(action, target, s.cell);
    }
  }

  void turn(std::span<const std::int32_t> action, Agents& s) const noexcept {
    const std::size_t n = num_agents;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& outcomes = outcome_[static_cast<std::size_t>(action[i])];
      s.orientation[i] = outcomes[s.orientation[i]].orientation;
    }
  }

  bool occupied(const Agents& s, std::size_t cell) const noexcept {
    bool found = false;
    for (std::size_t i = 0; i < num_agents; ++i) found |= s.cell[i] == cell;
    return found;
  }

  /// Who hears whom.
  void meet(const Agents& s, std::span<std::uint8_t> neighbours) const noexcept {
    for (std::size_t i = 0; i < num_agents; ++i) {
      for (std::size_t j = 0; j < num_agents; ++j) {
        const int rows = std::abs(row(s.cell[i]) - row(s.cell[j]));
        const int cols = std::abs(col(s.cell[i]) - col(s.cell[j]));
        const int far = metric == Metric::kChebyshev ? std::max(rows, cols) : rows + cols;
        neighbours[i * num_agents + j] = i != j && (graph == Graph::kComplete || far <= radius);
      }
    }
  }

  bool admits(const Agents& s) const noexcept {
    for (std::size_t i = 0; i < num_agents; ++i) {
      if (s.cell[i] >= cells || tile[s.cell[i]] == '@' || s.orientation[i] > kLeft) return false;
      for (std::size_t j = 0; j < i && profile == Profile::kSsd; ++j) {
        if (s.cell[i] == s.cell[j]) return false;
      }
    }
    return true;
  }

  int height;
  int width;
  std::size_t cells;
  std::size_t num_agents;
  Profile profile;
  Graph graph;
  int radius;
  Metric metric;
  std::string tile;  ///< the map, one character per cell
  std::vector<std::uint16_t> spawns;

 private:
  /// Where an action leads, and how its agent faces after it.
  struct Outcome {
    std::uint8_t direction;
    std::uint8_t orientation;
  };

  static constexpr std::size_t kNowhere = 4;
  static constexpr std::array<std::size_t, 4> kBase{kLeft, kRight, kUp, kDown};
  static constexpr std::array<std::uint8_t, 8> kTurn{0, 0, 0, 0, 0, 1, 3, 0};

  // Eight cells in a vector or in two words, the first in the lowest bits.
  using Lanes [[gnu::vector_size(16)]] = std::int16_t;
  using Words [[gnu::vector_size(16)]] = std::uint64_t;
  using Packed = std::array<std::uint64_t, 2>;
  static constexpr std::size_t kLanes = 8;

  /// Whether a number of agents is a constant and has room in Lanes.
  template <class Count>
  static constexpr bool few() noexcept {
    if constexpr (requires { Count::value; }) {
      return Count::value <= kLanes && std::endian::native == std::endian::little;
    }
    return false;
  }

  /// `move` in the profile ssd. Targets are put together in registers: a vector read from where its
  /// parts were just written, which is what compilers make of arrays, waits for memory.
  template <class Count>
  void move_few(Count n, Rng& rng, std::span<const std::int32_t> action, Agents& s) const noexcept {
    Packed target{};
    for (std::size_t i = 0; i < n; ++i) {
      const Outcome outcome = outcome_[static_cast<std::size_t>(action[i])][s.orientation[i]];
      const std::uint64_t cell = next(s.cell[i], outcome.direction);
      target[i / 4] |= cell << 16 * (i % 4);
      s.orientation[i] = outcome.orientation;
    }
    rng.discard(n - 1);  // what a random order takes
    rng.block();         // nearly always drawn from in this step: computed while agents move
    if (apart(n, s.cell, target)) {
      std::memcpy(s.cell.data(), target.data(), sizeof(target));  // unused entries stay zero
    } else {
      Cells wish{};
      std::memcpy(wish.data(), target.data(), sizeof(target));
      const Cells granted = contend(rng.ago(n - 1), s.cell, wish);
      std::copy_n(granted.begin(), std::size_t{n}, s.cell.begin());
    }
  }

  /// `unhindered` for few agents: lanes are compared with those 1, 2, ... further on.
  template <class Count>
  static bool apart(Count, const Cells& from, const Packed& target) noexcept {
    // Cells count from 1 here, since zeros are shifted in; lanes without agent equal no other.
    constexpr auto offset = [](std::size_t lane) {
      return static_cast<std::int16_t>(lane < Count::value ? 1 : 0x7000 + lane);
    };
    constexpr Lanes kOffset{offset(0), offset(1), offset(2), offset(3),
                            offset(4), offset(5), offset(6), offset(7)};
    Lanes at;
    std::memcpy(&at, from.data(), sizeof(at));
    at += kOffset;
    const Lanes to = reinterpret_cast<Lanes>(Words{target[0], target[1]}) + kOffset;
    Lanes clash{};
    const auto compare = [&](const Lanes& other_at, const Lanes& other_to) {
      clash |= (to == other_to) | ((at == other_to) & (to == other_at));
    };
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      (compare(further<k + 1>(at), further<k + 1>(to)), ...);
    }(std::make_index_sequence<Count::value - 1>{});
    const Words any = reinterpret_cast<Words>(clash);
    return (any[0] | any[1]) == 0;
  }

  /// Lane k holds lane k + kBy; the last ones zeros.
  template <std::size_t kBy>
  static Lanes further(const Lanes& x) noexcept {
    constexpr auto from = [](std::size_t lane) {
      return static_cast<std::int16_t>(lane + kBy < kLanes ? lane + kBy : kLanes);
    };
#ifdef __clang__
    return __builtin_shufflevector(x, Lanes{}, from(0), from(1), from(2), from(3), from(4), from(5),
                                   from(6), from(7));
#else  // GCC has the other one from version 12 on only
    return __builtin_shuffle(
        x, Lanes{}, Lanes{from(0), from(1), from(2), from(3), from(4), from(5), from(6), from(7)});
#endif
  }

  /// Profile ssd: wishes, with staying in the place of those that cannot be had. No two agents end
  /// on one cell. `rng` is where the random order is drawn from.
  [[gnu::noinline]] Cells contend(Rng rng, const Cells& from, const Cells& wish) const noexcept {
    const std::size_t n = num_agents;
    Cells target = wish;

    std::array<std::uint8_t, kMaxAgents> order;
    std::array<std::uint8_t, kMaxAgents> rank;
    rng.perm(std::span(order.data(), n));
    for (std::size_t k = 0; k < n; ++k) rank[order[k]] = static_cast<std::uint8_t>(k);

    // Of several that want a cell only the first in the random order may have it, and none if its
    // occupant stays or wants the cell of one of them.
    for (std::size_t i = 0; i < n; ++i) {
      if (wish[i] == from[i]) continue;
      bool refused = false;
      for (std::size_t j = 0; j < n; ++j) {
        if (j == i || wish[j] != wish[i]) continue;
        refused |= wish[j] == from[j] || rank[j] < rank[i];
        refused |= exchanged(from, wish, j);
      }
      if (refused || exchanged(from, wish, i)) target[i] = from[i];
    }
    // Whoever stays blocks those that wanted its cell, and so on.
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < n; ++i) {
        if (target[i] == from[i]) continue;
        for (std::size_t j = 0; j < n; ++j) {
          if (j != i && target[i] == from[j] && target[j] == from[j]) {
            target[i] = from[i];
            changed = true;
            break;
          }
        }
      }
    }
    return target;
  }

  /// Whether `contend` would grant every wish: all targets differ, and no two agents want each
  /// other's cells.
  template <class Count>
  bool unhindered(Count n, const Cells& from, const Cells& target) const noexcept {
    // Eight at a time: compilers do not find this by themselves. It looks at all pairs, without
    // leaving early, since who meets whom cannot be predicted.
    constexpr std::size_t kLanes = 8;
    static_assert(kMaxAgents % kLanes == 0);
    using Lanes [[gnu::vector_size(kLanes * sizeof(std::int16_t))]] = std::int16_t;
    constexpr Lanes kNumbers{0, 1, 2, 3, 4, 5, 6, 7};
    Lanes clash{};
    for (std::size_t first = 0; first < n; first += kLanes) {
      Lanes at{};
      Lanes to{};
      for (std::size_t k = 0; k < kLanes; ++k) {
        at[k] = static_cast<std::int16_t>(first + k < n ? from[first + k] : 0);
        to[k] = static_cast<std::int16_t>(first + k < n ? target[first + k] : 0);
      }
      const Lanes agent = kNumbers + static_cast<std::int16_t>(first);
      for (std::size_t i = first + 1; i < n; ++i) {
        const auto here = static_cast<std::int16_t>(from[i]);
        const auto there = static_cast<std::int16_t>(target[i]);
        const Lanes earlier = agent < static_cast<std::int16_t>(i);
        clash |= earlier & ((to == there) | ((at == there) & (to == here)));
      }
    }
    std::array<std::uint64_t, sizeof(Lanes) / sizeof(std::uint64_t)> any;
    std::memcpy(&any, &clash, sizeof(clash));
    return (any[0] | any[1]) == 0;
  }

  /// Whether the occupant of the cell that i wants wants the cell of i.
  bool exchanged(const Cells& from, const Cells& wish, std::size_t i) const noexcept {
    for (std::size_t j = 0; j < num_agents; ++j) {
      if (j != i && wish[i] == from[j] && wish[j] == from[i]) return true;
    }
    return false;
  }

  /// Profile features: agents that stay claim their cells, then movers claim theirs by index. The
  /// cells of all others are not protected.
  void claim(std::span<const std::int32_t> action, const Cells& target, Cells& at) const noexcept {
    Cells claimed;
    std::size_t count = 0;
    for (std::size_t i = 0; i < num_agents; ++i) {
      if (action[i] == kStay) claimed[count++] = at[i];
    }
    for (std::size_t i = 0; i < num_agents; ++i) {
      if (target[i] == at[i]) continue;
      const auto end = claimed.begin() + static_cast<std::ptrdiff_t>(count);
      if (std::find(claimed.begin(), end, target[i]) != end) continue;
      claimed[count++] = target[i];
      at[i] = target[i];
    }
  }

  /// The cell next to a cell, by direction and kNowhere; padded, so that indices are shifts.
  std::vector<std::array<std::uint16_t, 8>> next_;
  /// By action and orientation. Tables and no branches: actions cannot be predicted.
  std::array<std::array<Outcome, 4>, kActionNames.size()> outcome_{};
};

// ---- inspection ------------------------------------------------------------------------------

/// A map of zeros and ones.
template <class Row>
void inspect(const Ground& ground, std::string_view name, const std::vector<std::uint8_t>& map,
             Row&& row) {
  const Shape shape{static_cast<std::size_t>(ground.height),
                    static_cast<std::size_t>(ground.width)};
  row(name, shape, std::span<const std::uint8_t>(map));
}

/// Ones where the map has this character.
template <class Row>
void inspect(const Ground& ground, std::string_view name, char kind, Row&& row) {
  std::vector<std::uint8_t> map(ground.cells);
  std::ranges::transform(ground.tile, map.begin(), [kind](char tile) { return tile == kind; });
  inspect(ground, name, map, row);
}

/// Ones on the sites of a set.
template <class Row>
void inspect(const Ground& ground, std::string_view name, const Sites& sites, const SiteSet& set,
             Row&& row) {
  std::vector<std::uint8_t> map(ground.cells);
  set.for_each(sites.words, [&](std::size_t site) { map[sites.cell[site]] = 1; });
  inspect(ground, name, map, row);
}

/// Agents as rows (row, column), their orientations, and the walls of the map.
template <class Row>
void inspect(const Ground& ground, const Agents& s, Row&& row) {
  std::vector<std::int32_t> places;
  for (std::size_t i = 0; i < ground.num_agents; ++i) {
    places.push_back(ground.row(s.cell[i]));
    places.push_back(ground.col(s.cell[i]));
  }
  const std::vector<std::int32_t> facing(
      s.orientation.begin(),
      s.orientation.begin() + static_cast<std::ptrdiff_t>(ground.num_agents));
  row("agents", Shape{ground.num_agents, 2}, std::span<const std::int32_t>(places));
  row("orientation", Shape{ground.num_agents}, std::span<const std::int32_t>(facing));
  inspect(ground, "walls", '@', row);
}

}  // namespace ascore::grid
