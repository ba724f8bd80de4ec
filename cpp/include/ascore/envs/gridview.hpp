/// How the grid worlds are observed: planes of bits that a step updates where something changed, or
/// pictures, planes around an agent and short descriptions that it draws anew.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "ascore/envs/gridmap.hpp"
#include "ascore/envs/gridworld/agents.hpp"
#include "ascore/envs/gridworld/ground.hpp"
#include "ascore/envs/gridworld/options.hpp"
#include "ascore/envs/gridworld/sites.hpp"

namespace ascore::grid {

/// Colours of a map, in the order of `kPalette`; agent i has kFirstAgent + i modulo 9.
enum Colour : std::uint8_t { kBlack, kGrey, kAppleGreen, kWasteBlue, kRiverBrown, kFirstAgent };

inline constexpr std::size_t kAgentColours = 9;
inline constexpr std::array<std::array<std::uint8_t, 3>, kFirstAgent + kAgentColours> kPalette{{
    {0, 0, 0},        // floor, and what lies outside
    {180, 180, 180},  // wall
    {0, 255, 0},      // apple
    {99, 156, 194},   // waste
    {113, 75, 24},    // clean river, stream
    {0, 0, 255},
    {2, 81, 154},
    {204, 0, 204},
    {216, 30, 54},
    {254, 151, 0},
    {100, 255, 255},
    {99, 99, 255},
    {250, 204, 255},
    {238, 223, 16},
}};

/// The observation of one environment. `layers` kinds of things lie on the map (their planes come
/// first, then one per agent); `num_features` numbers describe it to an agent; around an agent it
/// has planes of `things`, besides those that every map has.
class View {
 public:
  using Obs = std::uint8_t;

  template <class Params>
  View(const Ground& ground, const Params& p, std::size_t layers, std::size_t num_features,
       std::size_t things)
      : mode(p.obs_mode),
        append_orientation_(p.append_orientation),
        turns_(p.obs_mode == ObsMode::kCentredTurned),
        cells_(ground.cells),
        agents_(ground.num_agents),
        layers_(layers),
        num_features_(num_features),
        centre_planes_(kFirstThing + things),
        colour_(ground.cells),
        centre_(centred() ? Centre(ground, turns_) : Centre()) {
    const auto colour_of = [](char tile) {
      if (tile == '@') return kGrey;
      return tile == 'H' || tile == 'R' || tile == 'S' ? kRiverBrown : kBlack;
    };
    std::ranges::transform(ground.tile, colour_.begin(), colour_of);
  }

  int views() const noexcept {
    const bool shared = mode == ObsMode::kPlanes || mode == ObsMode::kRgb;
    return shared ? 1 : static_cast<int>(agents_);
  }

  /// Whether each agent sees the whole map around itself.
  bool centred() const noexcept {
    return mode == ObsMode::kCentred || mode == ObsMode::kCentredTurned;
  }

  int obs_size() const noexcept {
    switch (mode) {
      case ObsMode::kPlanes:
        return static_cast<int>((layers_ + agents_) * cells_ + 4 * agents_);
      case ObsMode::kRgb:
        return static_cast<int>(3 * cells_ + (append_orientation_ ? 4 * agents_ : 0));
      case ObsMode::kLocal:
        return 3 * kWindow * kWindow;
      case ObsMode::kCentred:
      case ObsMode::kCentredTurned:
        return static_cast<int>(centre_planes_ * centre_.area + (append_orientation_ ? 4 : 0));
      default:
        return static_cast<int>(num_features_);
    }
  }

  double scale() const noexcept {
    return mode == ObsMode::kRgb || mode == ObsMode::kLocal ? 1.0 / 255.0 : 1.0;
  }

  // ---- planes ----

  /// Something appears on (1) or disappears from (0) a layer.
  void set(std::span<Obs> obs, std::size_t layer, std::size_t cell, Obs value) const noexcept {
    if (mode == ObsMode::kPlanes) obs[layer * cells_ + cell] = value;
  }

  /// Writes agents into planes without any.
  void place(std::span<Obs> obs, Standing s) const noexcept { move(agents_, obs, s.cell, s); }

  /// Agents have left the cells `before` for where they are now.
  template <class Count>
  [[gnu::always_inline]] inline void move(Count n, std::span<Obs> obs, const std::uint16_t* before,
                                          Standing now) const noexcept {
    if (mode != ObsMode::kPlanes) return;
    const std::size_t cells = cells_;  // bytes may alias anything: what a loop reads is in locals
    Obs* plane = obs.data() + layers_ * cells;
    Obs* facing = plane + n * cells;
    for (std::size_t i = 0; i < n; ++i, plane += cells, facing += 4) {
      plane[before[i]] = 0;
      plane[now.cell[i]] = 1;
      std::memcpy(facing, kOneHot[now.orientation[i]].data(), 4);
    }
  }

  // ---- pictures ----

  /// Draws the map: `things` is called with a function (cell, colour) for all that lies on it, and
  /// agents are drawn last. For rgb and local alone.
  template <class Things>
  void draw(std::span<Obs> obs, const Ground& ground, Standing s, Things&& things) const noexcept {
    Picture picture;
    std::copy(colour_.begin(), colour_.end(), picture.begin());
    things([&picture](std::size_t cell, Colour colour) { picture[cell] = colour; });
    for (std::size_t i = 0; i < agents_; ++i) {
      picture[s.cell[i]] = static_cast<std::uint8_t>(kFirstAgent + i % kAgentColours);
    }
    if (mode == ObsMode::kLocal) {
      for (std::size_t i = 0; i < agents_; ++i) {
        const auto size = static_cast<std::size_t>(obs_size());
        window(obs.subspan(i * size, size), ground, picture, s.cell[i], s.orientation[i]);
      }
      return;
    }
    for (std::size_t c = 0; c < cells_; ++c) put(obs.data() + 3 * c, picture[c]);
    if (append_orientation_) {
      const std::span<Obs> facing = obs.subspan(3 * cells_);
      std::ranges::fill(facing, Obs{0});
      for (std::size_t i = 0; i < agents_; ++i) facing[4 * i + s.orientation[i]] = 255;
    }
  }

  // ---- the map around each agent ----

  /// Planes of what an agent sees around itself that every environment has; its own follow.
  enum CentredPlane : std::size_t { kSelf, kOthers, kWall, kFirstThing };

  /// Draws the map around every agent: `things(mark)` calls mark(plane, cell) for all that lies on
  /// the map, planes counted from kFirstThing.
  template <class Things>
  void centre(std::span<Obs> obs, Standing s, Things&& things) const noexcept {
    std::ranges::fill(obs, Obs{0});
    const std::size_t area = centre_.area;
    const auto size = static_cast<std::size_t>(obs_size());
    for (std::size_t i = 0; i < agents_; ++i) {
      const std::int32_t* const place = centre_.place[turns_ ? s.orientation[i] : 0].data();
      Obs* const view = obs.data() + i * size;
      const std::int32_t origin = centre_.middle - place[s.cell[i]];  // of the map, in a plane
      const auto mark = [=](std::size_t plane, std::size_t cell) {
        view[plane * area + static_cast<std::size_t>(origin + place[cell])] = 1;
      };
      for (std::size_t j = 0; j < agents_; ++j) mark(j == i ? kSelf : kOthers, s.cell[j]);
      for (const std::uint16_t cell : centre_.walls) mark(kWall, cell);
      things(mark);
      if (append_orientation_) view[size - 4 + s.orientation[i]] = 1;
    }
  }

  // ---- features ----

  /// A count in a byte.
  static Obs capped(std::size_t count) noexcept {
    return static_cast<Obs>(std::min<std::size_t>(count, std::numeric_limits<Obs>::max()));
  }

  /// Row, column and orientation of agent i and of the first other agent; returns what follows
  /// them.
  static Obs* describe_agents(Obs* to, const Ground& ground, Standing s, std::size_t i) noexcept {
    const auto describe = [&](std::size_t k) {
      to = put_cell(to, ground, s.cell[k]);
      *to++ = s.orientation[k];
    };
    describe(i);
    if (ground.num_agents > 1) {
      describe(i == 0 ? 1 : 0);
    } else {
      to = std::fill_n(to, 3, Obs{0});
    }
    return to;
  }

  /// Row and column of the site nearest to `cell` (Manhattan; the first of several), zeros if there
  /// is none; returns what follows them.
  static Obs* describe_nearest(Obs* to, const Ground& ground, const Sites& sites,
                               const SiteSet& set, std::size_t cell) noexcept {
    int nearest = std::numeric_limits<int>::max();
    std::size_t found = 0;
    set.for_each(sites.words, [&](std::size_t site) {
      const std::size_t there = sites.cell[site];
      const int far = std::abs(ground.row(there) - ground.row(cell)) +
                      std::abs(ground.col(there) - ground.col(cell));
      if (far < nearest) {
        nearest = far;
        found = there;
      }
    });
    if (nearest == std::numeric_limits<int>::max()) return std::fill_n(to, 2, Obs{0});
    return put_cell(to, ground, found);
  }

  ObsMode mode;

 private:
  static constexpr std::array<std::array<Obs, 4>, 4> kOneHot{
      {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}};
  static constexpr int kWindow = 15;  // Christoffersen et al. 2023: 7 cells to every side
  using Picture = std::array<std::uint8_t, GridMap::kMaxSide * GridMap::kMaxSide>;

  static void put(Obs* to, std::uint8_t colour) noexcept {
    std::memcpy(to, kPalette[colour].data(), 3);
  }

  static Obs* put_cell(Obs* to, const Ground& ground, std::size_t cell) noexcept {
    *to++ = static_cast<Obs>(ground.row(cell));
    *to++ = static_cast<Obs>(ground.col(cell));
    return to;
  }

  /// What lies around a cell, turned so that `orientation` is up.
  static void window(std::span<Obs> obs, const Ground& ground, const Picture& picture,
                     std::size_t cell, std::size_t orientation) noexcept {
    static constexpr std::array<int, 4> kRows{-1, 0, 1, 0};
    static constexpr std::array<int, 4> kCols{0, 1, 0, -1};
    const std::size_t right = (orientation + 1) % 4;
    Obs* to = obs.data();
    for (int r = 0; r < kWindow; ++r) {
      for (int c = 0; c < kWindow; ++c, to += 3) {
        const int ahead = kWindow / 2 - r;
        const int aside = c - kWindow / 2;
        const int row = ground.row(cell) + ahead * kRows[orientation] + aside * kRows[right];
        const int col = ground.col(cell) + ahead * kCols[orientation] + aside * kCols[right];
        const bool inside = row >= 0 && col >= 0 && row < ground.height && col < ground.width;
        put(to, inside ? picture[static_cast<std::size_t>(row * ground.width + col)]
                       : static_cast<std::uint8_t>(kBlack));
      }
    }
  }

  /// Where a cell of the map is in a plane around an agent. From any cell the whole map is in
  /// sight: the plane has 2 H - 1 rows of 2 W - 1, or if it turns as many rows as columns, for the
  /// longer side.
  struct Centre {
    Centre() = default;

    Centre(const Ground& ground, bool turns) {
      const int longer = std::max(ground.height, ground.width);
      const int rows = 2 * (turns ? longer : ground.height) - 1;
      const int cols = 2 * (turns ? longer : ground.width) - 1;
      area = static_cast<std::size_t>(rows * cols);
      middle = rows / 2 * cols + cols / 2;
      // By orientation: how much further in the plane the next row of the map is, and the next
      // column.
      const std::array<std::array<int, 2>, 4> steps{
          {{cols, 1}, {1, -cols}, {-cols, -1}, {-1, cols}}};
      for (std::size_t o = 0; o < 4; ++o) {
        for (std::size_t cell = 0; cell < ground.cells; ++cell) {
          place[o].push_back(ground.row(cell) * steps[o][0] + ground.col(cell) * steps[o][1]);
        }
      }
      for (std::size_t cell = 0; cell < ground.cells; ++cell) {
        if (ground.tile[cell] == '@') walls.push_back(static_cast<std::uint16_t>(cell));
      }
    }

    std::size_t area = 0;
    int middle = 0;
    std::array<std::vector<std::int32_t>, 4> place;  ///< by orientation and cell, up to a constant
    std::vector<std::uint16_t> walls;
  };

  bool append_orientation_;
  bool turns_;
  std::size_t cells_;
  std::size_t agents_;
  std::size_t layers_;
  std::size_t num_features_;
  std::size_t centre_planes_;
  std::vector<std::uint8_t> colour_;  ///< of the bare map
  Centre centre_;
};

}  // namespace ascore::grid
