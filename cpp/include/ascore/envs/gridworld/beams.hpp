/// Beams: three lanes of cells side by side, which clean or punish.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ascore/envs/gridworld/agents.hpp"
#include "ascore/envs/gridworld/ground.hpp"

namespace ascore::grid {

/// Who is on a cell, for beams: all of few agents are asked, of a crowd cells are looked up.
template <std::size_t kRoom>
class Occupied {
 public:
  Occupied([[maybe_unused]] const Ground& ground, [[maybe_unused]] Standing agents) noexcept {
    if constexpr (kRoom > kMaxAgents) {
      taken_.fill(false);
      for (std::size_t i = 0; i < ground.num_agents; ++i) taken_[agents.cell[i]] = true;
    }
  }

  bool operator()(const Ground& ground, Standing agents, std::size_t cell) const noexcept {
    if constexpr (kRoom > kMaxAgents) return taken_[cell];
    return ground.occupied(agents, cell);
  }

 private:
  std::array<bool, kRoom <= kMaxAgents ? 1 : kRoom> taken_;
};

/// Calls `meet(cell)` along the three lanes of agent i's beam; a lane ends at a wall, at the edge
/// of the map, and where `meet` returns true.
///
/// Profile ssd: the middle lane begins ahead of the agent and the others beside it. Features: all
/// begin at the height of the agent and are a cell longer.
template <class Meet>
[[gnu::always_inline]] inline void beam(const Ground& ground, Standing agents, std::size_t i,
                                        int length, Meet&& meet) noexcept {
  const bool ssd = ground.profile == Profile::kSsd;
  const std::size_t at = agents.cell[i];
  const std::size_t ahead = agents.orientation[i];
  const int cells = ssd ? length : length + 1;
  const auto lane = [&](std::size_t cell) {
    for (int left = cells;;) {
      if (meet(cell)) return;
      if (--left == 0 || !ground.open(cell, ahead)) return;
      cell = ground.next(cell, ahead);
    }
  };
  const auto lane_from = [&](std::size_t direction) {
    if (ground.open(at, direction)) lane(ground.next(at, direction));
  };
  if (ssd) {
    lane_from(ahead);
  } else {
    lane(at);
  }
  lane_from((ahead + 1) % 4);
  lane_from((ahead + 3) % 4);
}

/// Cells that beams of one kind are on, in one step. Nothing is written before `begin`: most steps
/// have no need of it, and it is larger than most games.
class Beams {
 public:
  Beams() noexcept {}

  /// Makes room for beams; without this there are none, and none may be added.
  void begin(const Ground& ground, Standing agents) noexcept {
    std::fill_n(on_.begin(), ground.cells, std::uint16_t{0});
    for (std::size_t i = 0; i < ground.num_agents; ++i) on_[agents.cell[i]] = kSomebody;
    begun_ = true;
  }

  /// Whether `begin` was called.
  bool begun() const noexcept { return begun_; }

  /// Returns whether an agent is there.
  bool add(std::size_t cell) noexcept {
    const std::uint16_t before = on_[cell]++;
    if (before % kSomebody == 0) lit_[count_++] = static_cast<std::uint16_t>(cell);
    return before >= kSomebody;
  }

  /// How many beams are on a cell.
  int on(std::size_t cell) const noexcept { return on_[cell] % kSomebody; }

  /// Cells with a beam or more.
  std::span<const std::uint16_t> lit() const noexcept { return {lit_.data(), count_}; }

 private:
  /// Added for an agent on a cell: more than there can be beams.
  static constexpr std::uint16_t kSomebody = 1U << 15;
  static_assert(kMaxCells < kSomebody);

  std::array<std::uint16_t, kMaxCells> on_;
  Cells<kMaxCells> lit_;
  std::size_t count_ = 0;
  bool begun_ = false;
};

/// What a step's beams were on.
struct Lit {
  static constexpr bool kKept = true;
  Beams clean;
  Beams fire;
};

/// Nothing of it: for games in which beams neither punish nor are shown, which is most of them.
struct Unlit {
  static constexpr bool kKept = false;
};

/// How many beams hit an agent: every beam once, whoever else it hits, and never who fires it.
inline int hits(const Ground& ground, std::span<const std::int32_t> action, std::int32_t fire,
                Standing agents, const Beams& beams, std::size_t agent) noexcept {
  const int own = ground.profile == Profile::kFeatures ? 1 : 0;  // covers the cell it comes from
  const int fires = action[agent] == fire ? 1 : 0;  // a factor: a branch could not be predicted
  return beams.on(agents.cell[agent]) - fires * own;
}

/// Takes from the rewards what firing and being hit cost. Nobody is moved, held or sent
/// away.
inline void charge(const Ground& ground, std::span<const std::int32_t> action, std::int32_t fire,
                   Standing agents, const Beams& beams, double fire_cost, double hit_cost,
                   std::span<float> reward) noexcept {
  for (std::size_t i = 0; i < ground.num_agents; ++i) {
    const int fires = action[i] == fire ? 1 : 0;
    const double paid = fire_cost * fires + hit_cost * hits(ground, action, fire, agents, beams, i);
    reward[i] = static_cast<float>(static_cast<double>(reward[i]) - paid);
  }
}

/// What agents did in a step, for `Telling`: a count per agent of each kind.
struct Deeds {
  explicit Deeds(std::size_t num_agents)
      : eaten(num_agents), cleaned(num_agents), hit(num_agents) {}

  std::vector<std::int32_t> eaten;    ///< apples
  std::vector<std::int32_t> cleaned;  ///< river cells that it rid of waste
  std::vector<std::int32_t> hit;      ///< beams of fire that it was hit by
};

/// Where a step writes them.
struct Told {
  static constexpr bool kKept = true;
  Deeds* deeds;
};

/// Nowhere: for every step that is not told.
struct Untold {
  static constexpr bool kKept = false;
};

}  // namespace ascore::grid
