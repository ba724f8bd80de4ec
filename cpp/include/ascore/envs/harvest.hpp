/// Harvest: apples grow back only next to other apples, so whoever takes the last ones takes from
/// all.
///
/// Rules: "Learning to Cooperate under Private Rewards", section 5.1 (one point per apple, nothing
/// else), on the map and with the rates of Hughes et al. 2018 and Christoffersen et al. 2023. With
/// `fire`, their punishing beam as in eugenevinitsky/sequential_social_dilemma_games,
/// social_dilemmas/envs/map_env.py (update_map_fire) and agent.py: it costs who fires and whom it
/// hits, and nothing else happens to them.
///
/// Draws: a reset takes two words per agent (its cell, its orientation), none if agents start at
/// fixed places; a step num_agents - 1
/// words (profile ssd) for who goes first, then one half word for every apple cell without apple
/// and agent, row by row. Firing takes none: beams change nothing that another beam meets, so whom
/// they hit is the same in any order.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/envs/gridworld.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct HarvestParams {
  /// What states saved by earlier versions do not name: see `VecEnv`.
  static constexpr std::array<std::string_view, 6> kLater{"turns", "start",     "beam_length",
                                                          "fire",  "fire_cost", "hit_cost"};

  int num_agents = 2;
  std::string map = "harvest_top";
  grid::Profile profile = grid::Profile::kSsd;
  grid::Frame move_frame = grid::Frame::kProfile;
  bool turns = true;
  grid::Start start = grid::Start::kRandom;
  int horizon = 100;
  grid::ObsMode obs_mode = grid::ObsMode::kPlanes;
  bool append_orientation = false;
  grid::Graph graph = grid::Graph::kComplete;
  int neigh_radius = 1;
  grid::Metric neigh_metric = grid::Metric::kChebyshev;
  double regrowth_1 = 0.005;
  double regrowth_2 = 0.02;
  double regrowth_3 = 0.05;
  bool fire = false;
  double fire_cost = 1;
  double hit_cost = 50;
  int beam_length = 5;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kChance{0.0, 1.0};
    constexpr std::string_view kRates = "Hughes et al. 2018, code";
    grid::visit_shared(p,
                       "harvest_top, harvest_full, harvest_A_B (rows A to B of harvest_full) or "
                       "rows of @ A P and blanks",
                       row);
    row("regrowth_1", p.regrowth_1, kChance,
        "probability that an apple grows in a step beside one apple (of 8 cells)", kRates);
    row("regrowth_2", p.regrowth_2, kChance, "the same beside two apples", kRates);
    row("regrowth_3", p.regrowth_3, kChance, "the same beside three or more", kRates);
    grid::visit_fire(p, row);
    row("beam_length", p.beam_length, Range{1, GridMap::kMaxSide},
        "how many cells ahead firing reaches", kRates);
  }

  void check() const {
    const GridMap read = parse();
    read.require('A', "where apples grow", 1, grid::kMaxSites);
    grid::check_shared(*this, read);
  }

  GridMap parse() const { return {map, {"harvest", kFull, "@AP ", {1, 5}, {0, 0}}}; }

  /// The published map. @ wall, A apple, P where agents may start.
  static constexpr std::array<std::string_view, 16> kFull{
      "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",  //
      "@ P   P      A    P AAAAA    P  A P  @",  //
      "@  P     A P AA    P    AAA    A  A  @",  //
      "@     A AAA  AAA    A    A AA AAAA   @",  //
      "@ A  AAA A    A  A AAA  A  A   A A   @",  //
      "@AAA  A A    A  AAA A  AAA        A P@",  //
      "@ A A  AAA  AAA  A A    A AA   AA AA @",  //
      "@  A A  AAA    A A  AAA    AAA  A    @",  //
      "@   AAA  A      AAA  A    AAAA       @",  //
      "@ P  A       A  A AAA    A  A      P @",  //
      "@A  AAA  A  A  AAA A    AAAA     P   @",  //
      "@    A A   AAA  A A      A AA   A  P @",  //
      "@     AAA   A A  AAA      AA   AAA P @",  //
      "@ A    A     AAA  A  P          A    @",  //
      "@       P     A         P  P P     P @",  //
      "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
  };
};

/// One game of Harvest.
class Harvest {
 public:
  static constexpr const char* kName = "harvest-v1";
  static constexpr bool kNeighboursOnRequest = true;
  using Params = HarvestParams;
  using Obs = grid::View::Obs;

  /// Everything that changes. Sites are the apple cells, row by row.
  struct State {
    grid::Agents agents;
    grid::SiteSet apples;

    /// See `Saved`.
    template <class Self, class Part>
    static void visit(Self& s, Part&& part) {
      grid::Agents::visit(s.agents, part);
      part(std::span(&s.apples, 1));
    }
  };

  explicit Harvest(const Params& params)
      : constants_(std::make_shared<const Constants>(params)),
        s_{.agents = grid::Agents(constants_->ground.num_agents), .apples = {}} {}

  Spec spec() const noexcept {
    const Params& p = constants_->p;
    return {.name = kName,
            .action_names = grid::action_names(p.turns, false, p.fire),
            .num_agents = p.num_agents,
            .views = constants_->view.views(),
            .obs_size = constants_->view.obs_size(),
            .horizon = p.horizon,
            .step_ns = 60.0 + 15.0 * p.num_agents +
                       2.0 * static_cast<double>(constants_->sites.cell.size()),
            .obs_scale = constants_->view.scale()};
  }

  /// Apples on all their cells, agents on spawn cells.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    const Constants& c = *constants_;
    c.ground.place(rng, s_.agents);
    const grid::Standing agents = s_.agents.standing();
    s_.apples = c.sites.all;
    c.ground.meet(agents, io.neighbours);
    if (c.view.mode == grid::ObsMode::kPlanes) {
      std::ranges::fill(io.obs, Obs{0});
      for (const std::uint16_t cell : c.sites.cell) c.view.set(io.obs, kApple, cell, 1);
      c.view.place(io.obs, agents);
    } else {
      observe(agents, io.obs, grid::Unlit{});
    }
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    const std::size_t agents = constants_->ground.num_agents;
    if (agents > kMaxAgents) {
      play_many(rng, io);
    } else {
      with_count(agents, [&](auto n) { play(n, rng, io); });
    }
    return false;
  }

  /// See `Telling`: apples eaten and, where there is fire, beams that hit.
  template <class Row>
  bool step_and_tell(Rng& rng, StepView<Obs> io, Row&& row) {
    const std::size_t n = constants_->ground.num_agents;
    grid::Deeds deeds(n);
    play(grid::Crowd{n}, rng, io, grid::Told{&deeds});
    row("eaten", {n}, std::span<const std::int32_t>(deeds.eaten));
    if (constants_->p.fire) row("hit", {n}, std::span<const std::int32_t>(deeds.hit));
    return false;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    return constants_->ground.admits(state.agents) && state.apples.within(constants_->sites.all);
  }

  template <class Row>
  void inspect(Row&& row) const {
    grid::inspect(constants_->ground, s_.agents, row);
    grid::inspect(constants_->ground, "apples", constants_->sites, s_.apples, row);
    grid::inspect(constants_->ground, "orchard", constants_->sites, constants_->sites.all, row);
  }

 private:
  static constexpr std::size_t kApple = 0;  // its plane
  enum Around : std::size_t { kAppleAround = grid::View::kFirstThing, kFireAround };
  static constexpr std::size_t kAround = 8;

  /// What never changes, shared by all copies of an environment.
  struct Constants {
    explicit Constants(const Params& params) : Constants(params, params.parse()) {}

    Constants(const Params& params, const GridMap& map)
        : p(params),
          ground(map, p),
          sites(map, "A"),
          view(ground, p, 1, 10 + 2 * ground.num_agents, p.fire ? 2 : 1),
          screen(std::max({p.regrowth_1, p.regrowth_2, p.regrowth_3})),
          around(sites.cell.size()) {
      for (std::size_t site = 0; site < sites.cell.size(); ++site) {
        around[site].fill(grid::kNoSite);
        auto next = around[site].begin();
        const int row = ground.row(sites.cell[site]);
        const int col = ground.col(sites.cell[site]);
        for (int r = std::max(row - 1, 0); r <= std::min(row + 1, ground.height - 1); ++r) {
          for (int c = std::max(col - 1, 0); c <= std::min(col + 1, ground.width - 1); ++c) {
            const std::uint16_t other = sites.at[static_cast<std::size_t>(r * ground.width + c)];
            if (other != grid::kNoSite && other != site) *next++ = other;
          }
        }
      }
      const std::array chances{0.0, p.regrowth_1, p.regrowth_2, p.regrowth_3};
      for (std::size_t near = 0; near < regrowth.size(); ++near) {
        regrowth[near] = screen.threshold(chances[std::min<std::size_t>(near, 3)]);
      }
    }

    Params p;
    grid::Ground ground;
    grid::Sites sites;
    grid::View view;
    grid::Screen screen;
    std::array<double, kAround + 1> regrowth;  ///< by apples around: see Screen::threshold
    std::vector<std::array<std::uint16_t, kAround>> around;  ///< sites, kNoSite where there is none
  };

  /// Apples on the 8 cells around a site.
  std::size_t near(std::size_t site) const noexcept {
    std::size_t count = 0;
    for (const std::uint16_t other : constants_->around[site])
      count += s_.apples.contains(other) ? 1 : 0;
    return count;
  }

  /// Apart from `step`, which would need room for a crowd on the stack.
  [[gnu::noinline]] void play_many(Rng& rng, const StepView<Obs>& io) noexcept {
    play(grid::Crowd{constants_->ground.num_agents}, rng, io);
  }

  /// A step of n agents: see `with_count` and `grid::Crowd`.
  template <class Count, class Tell = grid::Untold>
  void play(Count n, Rng& rng, const StepView<Obs>& io, Tell tell = {}) noexcept {
    const Constants& c = *constants_;
    const grid::Standing agents = s_.agents.standing<grid::kRoom<Count>>();
    // One by one, into registers: a block would go through memory.
    grid::Cells<grid::kRoom<Count>> before;
    for (std::size_t i = 0; i < n; ++i) before[i] = agents.cell[i];
    c.ground.move(n, rng, io.action, agents);
    eat(n, agents, io);
    if constexpr (Tell::kKept) {
      for (std::size_t i = 0; i < n; ++i) tell.deeds->eaten[i] = io.reward[i] > 0 ? 1 : 0;
    }
    if (c.p.profile == grid::Profile::kFeatures) c.ground.turn(io.action, agents);
    c.view.move(n, io.obs, before.data(), agents);
    if (c.p.fire) {
      finish_lit(grid::any_of(n), rng, io, tell);
    } else {
      finish(n, rng, io, grid::Unlit{});
    }
  }

  /// Apart from `play`: it needs room for all the cells that beams are on.
  template <class Count, class Tell>
  [[gnu::noinline]] void finish_lit(Count n, Rng& rng, const StepView<Obs>& io,
                                    Tell tell) noexcept {
    grid::Lit lit;
    fire(s_.agents.standing<grid::kRoom<Count>>(), io, lit, tell);
    finish(n, rng, io, lit);
  }

  /// What comes after moving, eating and firing.
  template <class Count, class Lights>
  [[gnu::always_inline]] inline void finish(Count n, Rng& rng, const StepView<Obs>& io,
                                            const Lights& lit) noexcept {
    const Constants& c = *constants_;
    const grid::Standing agents = s_.agents.standing<grid::kRoom<Count>>();
    regrow(n, agents, rng, io.obs);
    if (c.p.graph == grid::Graph::kRadius) c.ground.meet(agents, io.neighbours);
    if (c.view.mode != grid::ObsMode::kPlanes) observe(agents, io.obs, lit);
  }

  void set_apple(std::size_t site, bool there, std::span<Obs> obs) noexcept {
    there ? s_.apples.insert(site) : s_.apples.erase(site);
    constants_->view.set(obs, kApple, constants_->sites.cell[site], there);
  }

  template <class Count>
  [[gnu::always_inline]] inline void eat(Count n, grid::Standing agents,
                                         const StepView<Obs>& io) noexcept {
    const Constants& c = *constants_;
    if (c.p.profile == grid::Profile::kFeatures) {
      for (std::size_t i = 0; i < n; ++i) {  // one after the other: they may share a cell
        const std::uint16_t site = c.sites.at[agents.cell[i]];
        const bool eats = s_.apples.contains(site) && io.action[i] <= grid::kStay;
        io.reward[i] = eats ? 1.0F : 0.0F;
        if (eats) set_apple(site, false, io.obs);
      }
      return;
    }
    if (c.sites.words == 1) {  // the same in registers
      const std::uint64_t there = s_.apples.first_word();
      std::uint64_t eaten = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t taken = there & c.sites.bit[agents.cell[i]];
        io.reward[i] = taken != 0 ? 1.0F : 0.0F;
        eaten |= taken;
      }
      for (; eaten != 0; eaten &= eaten - 1) {
        set_apple(static_cast<std::size_t>(std::countr_zero(eaten)), false, io.obs);
      }
      return;
    }
    if constexpr (grid::kRoom<Count> > kMaxAgents) {
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint16_t site = c.sites.at[agents.cell[i]];
        const bool eats = s_.apples.contains(site);
        io.reward[i] = static_cast<float>(eats);
        if (eats) set_apple(site, false, io.obs);
      }
      return;
    }
    std::uint64_t eaters = 0;  // one branch for all: who eats cannot be predicted
    for (std::size_t i = 0; i < n; ++i) {
      const bool eats = s_.apples.contains(c.sites.at[agents.cell[i]]);
      io.reward[i] = static_cast<float>(eats);
      eaters |= std::uint64_t{eats} << i;
    }
    for (; eaters != 0; eaters &= eaters - 1) {
      const std::size_t cell = agents.cell[static_cast<std::size_t>(std::countr_zero(eaters))];
      set_apple(c.sites.at[cell], false, io.obs);
    }
  }

  /// Agents end a lane, except in the profile features.
  template <class Tell>
  void fire(grid::Standing agents, const StepView<Obs>& io, grid::Lit& lit,
            Tell tell) const noexcept {
    const Constants& c = *constants_;
    const std::int32_t fire = grid::first_beam(c.p.turns);
    const bool ssd = c.p.profile == grid::Profile::kSsd;
    const std::size_t n = c.ground.num_agents;
    for (std::size_t first = 0; first < n; first += 64) {
      std::uint64_t firing = 0;  // in one word, without a branch: who fires cannot be predicted
      for (std::size_t i = first; i < std::min(n, first + 64); ++i) {
        firing |= std::uint64_t{io.action[i] == fire} << (i - first);
      }
      if (firing != 0 && !lit.fire.begun()) lit.fire.begin(c.ground, agents);
      for (; firing != 0; firing &= firing - 1) {
        const auto i = first + static_cast<std::size_t>(std::countr_zero(firing));
        grid::beam(c.ground, agents, i, c.p.beam_length,
                   [&](std::size_t cell) { return lit.fire.add(cell) && ssd; });
      }
    }
    if (!lit.fire.begun()) return;
    grid::charge(c.ground, io.action, fire, agents, lit.fire, c.p.fire_cost, c.p.hit_cost,
                 io.reward);
    if constexpr (Tell::kKept) {
      for (std::size_t i = 0; i < n; ++i) {
        tell.deeds->hit[i] = grid::hits(c.ground, io.action, fire, agents, lit.fire, i);
      }
    }
  }

  /// Profile ssd: all apples of a step grow from those before it; features: one after the other.
  template <class Count>
  [[gnu::always_inline]] inline void regrow(Count n, grid::Standing agents, Rng& rng,
                                            std::span<Obs> obs) noexcept {
    const Constants& c = *constants_;
    const grid::SiteSet bare =
        grid::SiteSet::without(c.sites.all, s_.apples, c.sites.on(n, agents.cell), c.sites.words);
    if (c.p.profile == grid::Profile::kFeatures) {
      c.screen.draw(rng, bare, c.sites.words, [&](std::size_t site, double number) {
        if (number < c.regrowth[near(site)]) set_apple(site, true, obs);
      });
      return;
    }
    std::array<std::uint16_t, grid::kMaxSites> grown;
    std::size_t count = 0;
    c.screen.draw(rng, bare, c.sites.words, [&](std::size_t site, double number) {
      if (number < c.regrowth[near(site)]) grown[count++] = static_cast<std::uint16_t>(site);
    });
    for (std::size_t k = 0; k < count; ++k) set_apple(grown[k], true, obs);
  }

  /// The whole observation, for every mode but planes.
  template <class Lights>
  void observe(grid::Standing agents, std::span<Obs> obs, const Lights& lit) const noexcept {
    const Constants& c = *constants_;
    if (c.view.centred()) {
      c.view.centre(obs, agents, [&](auto&& mark) {
        s_.apples.for_each(c.sites.words,
                           [&](std::size_t site) { mark(kAppleAround, c.sites.cell[site]); });
        if constexpr (Lights::kKept) {
          for (const std::uint16_t cell : lit.fire.lit()) mark(kFireAround, cell);
        }
      });
      return;
    }
    if (c.view.mode != grid::ObsMode::kFeatures) {
      c.view.draw(obs, c.ground, agents, [&](auto&& paint) {
        s_.apples.for_each(c.sites.words,
                           [&](std::size_t site) { paint(c.sites.cell[site], grid::kAppleGreen); });
      });
      return;
    }
    const std::size_t apples = s_.apples.size();
    Obs* to = obs.data();
    for (std::size_t i = 0; i < c.ground.num_agents; ++i) {
      const std::size_t cell = agents.cell[i];
      to = grid::View::describe_agents(to, c.ground, agents, i);
      to = grid::View::describe_nearest(to, c.ground, c.sites, s_.apples, cell);
      *to++ = grid::View::capped(close_by(cell));
      *to++ = grid::View::capped(apples);
      to = std::fill_n(to, 2 * c.ground.num_agents, Obs{0});
    }
  }

  /// Apples within a squared distance of 5.
  std::size_t close_by(std::size_t cell) const noexcept {
    const Constants& c = *constants_;
    std::size_t count = 0;
    s_.apples.for_each(c.sites.words, [&](std::size_t site) {
      const int rows = c.ground.row(c.sites.cell[site]) - c.ground.row(cell);
      const int cols = c.ground.col(c.sites.cell[site]) - c.ground.col(cell);
      count += rows * rows + cols * cols <= 5 ? 1 : 0;
    });
    return count;
  }

  std::shared_ptr<const Constants> constants_;
  State s_;
};

static_assert(Inspectable<Harvest> && Telling<Harvest>);

}  // namespace ascore
