/// The ground of a grid world: where agents can walk, and how they do.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ascore/envs/gridmap.hpp"
#include "ascore/envs/gridworld/agents.hpp"
#include "ascore/envs/gridworld/conflicts.hpp"
#include "ascore/envs/gridworld/options.hpp"
#include "ascore/rng.hpp"

namespace ascore::grid {

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
        start(p.start),
        tile(map.cells()),
        next_(cells) {
    const bool egocentric = p.move_frame == Frame::kEgo ||
                            (p.move_frame == Frame::kProfile && p.profile == Profile::kSsd);
    for (std::size_t a = 0; a < kMaxActions; ++a) {
      for (std::size_t o = 0; o < 4; ++o) {
        const std::size_t forward = egocentric ? o : 0;
        const std::size_t turn = p.turns ? kTurn[a] : 0;
        effect_[a][o] = {static_cast<std::uint8_t>(a < kStay ? (kBase[a] + forward) % 4 : kNowhere),
                         static_cast<std::uint8_t>((o + turn) % 4)};
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

  /// Every agent on a spawn cell of its own.
  void place(Rng& rng, Agents& agents) const noexcept {
    const Standing s = agents.standing();
    if (start == Start::kFixed) {
      std::copy_n(spawns.rbegin(), num_agents, s.cell);
      std::fill_n(s.orientation, num_agents, std::uint8_t{kUp});
      return;
    }
    Cells<kMaxCells> storage;
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

  // Parts of a step are inlined even where compilers would rather save code: there is a step for
  // every small number of agents, and a call takes as long as an agent.

  /// Moves all n agents, a number or a constant, with the rules of the profile for agents that get
  /// in each other's way. In the profile ssd they turn as well; in features that comes later, by
  /// `turn`.
  template <class Count>
  [[gnu::always_inline]] inline void move(Count n, Rng& rng, std::span<const std::int32_t> action,
                                          Standing s) const noexcept {
    const bool ssd = profile == Profile::kSsd;
    if constexpr (FewAgents::are<Count>()) {
      if (ssd) return move_few(n, rng, action, s);
    }
    Cells<kRoom<Count>> target;
    for (std::size_t i = 0; i < n; ++i) {
      const Effect effect = effect_[static_cast<std::size_t>(action[i])][s.orientation[i]];
      target[i] = next(s.cell[i], effect.direction);
      s.orientation[i] = ssd ? effect.orientation : s.orientation[i];
    }
    if (ssd) {
      rng.discard(n - 1);  // what a random order takes
      rng.block();         // nearly always drawn from in this step: computed while agents move
      if constexpr (std::is_same_v<Count, Crowd>) {
        contend(n, rng.ago(n - 1), s.cell, target);
      } else {
        if (!unhindered(n, s.cell, target)) target = contend(n, rng.ago(n - 1), s.cell, target);
      }
      for (std::size_t i = 0; i < n; ++i) s.cell[i] = target[i];
    } else {
      claim(num_agents, action, target, s.cell);
    }
  }

  void turn(std::span<const std::int32_t> action, Standing s) const noexcept {
    const std::size_t n = num_agents;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& effects = effect_[static_cast<std::size_t>(action[i])];
      s.orientation[i] = effects[s.orientation[i]].orientation;
    }
  }

  /// Whether one of few agents is on a cell.
  bool occupied(Standing s, std::size_t cell) const noexcept {
    bool taken = false;
    for (std::size_t i = 0; i < num_agents; ++i) taken |= s.cell[i] == cell;
    return taken;
  }

  /// Who hears whom; nothing where nobody asks.
  void meet(Standing s, std::span<std::uint8_t> neighbours) const noexcept {
    if (neighbours.empty()) return;
    for (std::size_t i = 0; i < num_agents; ++i) {
      for (std::size_t j = 0; j < num_agents; ++j) {
        const int rows = std::abs(row(s.cell[i]) - row(s.cell[j]));
        const int cols = std::abs(col(s.cell[i]) - col(s.cell[j]));
        const int far = metric == Metric::kChebyshev ? std::max(rows, cols) : rows + cols;
        neighbours[i * num_agents + j] = i != j && (graph == Graph::kComplete || far <= radius);
      }
    }
  }

  /// Whether agents can be like this: on cells of their own without wall, and nothing in entries
  /// that are not used, which vectors read along with the others.
  bool admits(const Agents& s) const noexcept {
    const std::span<const std::uint16_t> cell = s.cell.all();
    const std::span<const std::uint8_t> orientation = s.orientation.all();
    for (std::size_t i = num_agents; i < cell.size(); ++i) {
      if (cell[i] != 0 || orientation[i] != 0) return false;
    }
    std::array<bool, kMaxCells> taken{};
    for (std::size_t i = 0; i < num_agents; ++i) {
      if (cell[i] >= cells || tile[cell[i]] == '@' || orientation[i] > kLeft) return false;
      if (std::exchange(taken[cell[i]], true) && profile == Profile::kSsd) return false;
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
  Start start;
  std::string tile;  ///< the map, one character per cell
  std::vector<std::uint16_t> spawns;

 private:
  /// Where an action leads, and how its agent faces after it.
  struct Effect {
    std::uint8_t direction;
    std::uint8_t orientation;
  };

  static constexpr std::size_t kNowhere = 4;
  static constexpr std::array<std::size_t, 4> kBase{kLeft, kRight, kUp, kDown};
  static constexpr std::array<std::uint8_t, kMaxActions> kTurn{0, 0, 0, 0, 0, 1, 3};

  /// `move` in the profile ssd. Targets are put together in registers: a vector read from where its
  /// parts were just written, which is what compilers make of arrays, waits for memory.
  template <class Count>
  [[gnu::always_inline]] inline void move_few(Count n, Rng& rng,
                                              std::span<const std::int32_t> action,
                                              Standing s) const noexcept {
    FewAgents::Packed target{};
    for (std::size_t i = 0; i < n; ++i) {
      const Effect effect = effect_[static_cast<std::size_t>(action[i])][s.orientation[i]];
      const std::uint64_t cell = next(s.cell[i], effect.direction);
      target[i / 4] |= cell << 16 * (i % 4);
      s.orientation[i] = effect.orientation;
    }
    rng.discard(n - 1);  // what a random order takes
    rng.block();         // nearly always drawn from in this step: computed while agents move
    if (FewAgents::unhindered(n, s.cell, target)) {
      std::memcpy(s.cell, target.data(), sizeof(target));  // unused entries stay zero
    } else {
      Cells<kMaxAgents> wish{};
      std::memcpy(wish.data(), target.data(), sizeof(target));
      const Cells<kMaxAgents> granted = contend(n, rng.ago(n - 1), s.cell, wish);
      std::copy_n(granted.begin(), std::size_t{n}, s.cell);
    }
  }

  /// The cell next to a cell, by direction and kNowhere; padded, so that indices are shifts.
  std::vector<std::array<std::uint16_t, 8>> next_;
  /// By action and orientation. Tables and no branches: actions cannot be predicted.
  std::array<std::array<Effect, 4>, kMaxActions> effect_{};
};

}  // namespace ascore::grid
