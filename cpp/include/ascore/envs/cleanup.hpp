/// Cleanup: apples grow only while the river is clean, and cleaning it earns nothing.
///
/// Rules: "Learning to Cooperate under Private Rewards", section 5.1 (one point per apple, cleaning
/// neither rewarded nor charged), on the map and with the rates of Hughes et al. 2018 and
/// Christoffersen et al. 2023. With `fire`, their punishing beam as in
/// eugenevinitsky/sequential_social_dilemma_games, social_dilemmas/envs/map_env.py
/// (update_map_fire) and agent.py: it costs who fires and whom it hits, and nothing else happens to
/// them.
///
/// Draws: a reset takes two words per agent (its cell, its orientation), none if agents start at
/// fixed places, then what spawning takes.
/// A step takes num_agents - 1 words for who moves first and as many for who cleans or fires first
/// (profile ssd; cleaning opens a way for fire). Spawning takes one half word for every orchard
/// cell without apple and agent, row by row, if apples can grow; then, for every river cell it
/// looks at for new waste, one word to choose it (profile ssd) and one for whether waste appears
/// there.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/envs/gridworld.hpp"
#include "ascore/envs/gridworld/cleanup_maps.hpp"
#include "ascore/envs/weights.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct CleanupParams {
  enum class WasteMode : std::uint8_t { kScan, kOnce };

  /// What states saved by earlier versions do not name: see `VecEnv`.
  static constexpr std::array<std::string_view, 7> kLater{
      "turns", "start", "waste_stops_fire", "fire", "fire_cost", "hit_cost", "weights"};

  int num_agents = 2;
  std::string map = "cleanup_top";
  grid::Profile profile = grid::Profile::kSsd;
  grid::Frame move_frame = grid::Frame::kProfile;
  bool turns = true;
  grid::Start start = grid::Start::kRandom;
  WasteMode waste_mode = WasteMode::kScan;
  int horizon = 100;
  grid::ObsMode obs_mode = grid::ObsMode::kPlanes;
  bool append_orientation = false;
  grid::Graph graph = grid::Graph::kComplete;
  int neigh_radius = 1;
  grid::Metric neigh_metric = grid::Metric::kChebyshev;
  double threshold_depletion = 0.4;
  double threshold_restoration = 0.0;
  double apple_probability = 0.05;
  double waste_probability = 0.5;
  int beam_length = 5;
  bool fire = false;
  double fire_cost = 1;
  double hit_cost = 50;
  bool waste_stops_fire = true;
  std::string weights{kEqualWeights};

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    constexpr Range kChance{0.0, 1.0};
    constexpr std::string_view kRates = "Hughes et al. 2018, code";
    grid::visit_shared(
        p,
        "cleanup_top, cleanup_mid, cleanup_full, cleanup_lio7, cleanup_lio10, "
        "cleanup_A_B (rows A to B of cleanup_full) or rows of @ H R S B P and blanks",
        row);
    row("waste_mode", p.waste_mode, one_of("scan", "once"),
        "new waste per step: river cells are tried until one takes it, or only one is tried",
        "Christoffersen et al. 2023, code (scan); Melting Pot (once)");
    row("threshold_depletion", p.threshold_depletion, kChance,
        "share of waste in the river from which on neither apples nor waste appear", kRates);
    row("threshold_restoration", p.threshold_restoration, kChance,
        "share of waste up to which apples grow fastest", kRates);
    row("apple_probability", p.apple_probability, kChance,
        "greatest probability that an apple grows on an orchard cell in a step", kRates);
    row("waste_probability", p.waste_probability, kChance,
        "probability that a river cell that is tried takes waste", kRates);
    row("beam_length", p.beam_length, Range{1, GridMap::kMaxSide},
        "how many cells ahead cleaning and firing reach", "Christoffersen et al. 2023, code");
    grid::visit_fire(p, row);
    row("waste_stops_fire", p.waste_stops_fire, Either{},
        "whether waste ends a lane of fire as it ends one that cleans (profile ssd)",
        "assumption; in the code of Hughes et al. 2018 only walls and agents do");
    row("weights", p.weights, kWeightsText,
        "what an apple is worth to each agent, which nobody observes", kWeightsSource);
  }

  void check() const {
    if (!(threshold_restoration < threshold_depletion)) {
      throw std::invalid_argument(
          "threshold_restoration = " + to_text(threshold_restoration) +
          " must be below threshold_depletion = " + to_text(threshold_depletion));
    }
    const GridMap read = parse();
    read.require('B', "where apples grow", 1, grid::kMaxSites);
    const int river = read.count('H') + read.count('R');
    if (river < 1 || river > grid::kMaxSites) {
      throw std::invalid_argument("map " + read.given_name() + " has " + std::to_string(river) +
                                  " river cells 'H' and 'R', want 1.." +
                                  std::to_string(grid::kMaxSites));
    }
    grid::check_shared(*this, read);
    read_weights(weights, num_agents);
  }

  GridMap parse() const {
    static constexpr std::array<NamedMap, 2> kOthers{
        {{"lio7", grid::kCleanupLio7}, {"lio10", grid::kCleanupLio10}}};
    return {map, {"cleanup", grid::kCleanupFull, "@HRSBP ", {1, 9}, {10, 18}, kOthers}};
  }
};

/// One game of Cleanup.
class Cleanup {
 public:
  static constexpr const char* kName = "cleanup-v1";
  static constexpr bool kNeighboursOnRequest = true;
  using Params = CleanupParams;
  using Obs = grid::View::Obs;

  /// Everything that changes. Apples are numbered by orchard cell, waste by river cell, row by row.
  struct State {
    grid::Agents agents;
    grid::SiteSet apples;
    grid::SiteSet waste;
    std::uint16_t num_waste;
    std::array<std::uint16_t, 3> unused;  ///< earlier versions saved as many bytes

    /// See `Saved`.
    template <class Self, class Part>
    static void visit(Self& s, Part&& part) {
      grid::Agents::visit(s.agents, part);
      part(std::span(&s.apples, 1));
      part(std::span(&s.waste, 1));
      part(std::span(&s.num_waste, 1));
      part(std::span(s.unused));
    }
  };

  explicit Cleanup(const Params& params)
      : constants_(std::make_shared<const Constants>(params)),
        s_{.agents = grid::Agents(constants_->ground.num_agents),
           .apples = {},
           .waste = {},
           .num_waste = 0,
           .unused = {}} {}

  Spec spec() const noexcept {
    const Params& p = constants_->p;
    const auto sites =
        static_cast<double>(constants_->orchard.cell.size() + constants_->river.cell.size());
    return {.name = kName,
            .action_names = grid::action_names(p.turns, true, p.fire),
            .num_agents = p.num_agents,
            .views = constants_->view.views(),
            .obs_size = constants_->view.obs_size(),
            .horizon = p.horizon,
            .step_ns = 60.0 + 15.0 * p.num_agents + 2.0 * sites,
            .obs_scale = constants_->view.scale()};
  }

  /// Waste where the map says, no apples, agents on spawn cells; then things spawn once.
  void reset(Rng& rng, StepView<Obs> io) noexcept {
    const Constants& c = *constants_;
    c.ground.place(rng, s_.agents);
    const grid::Standing agents = s_.agents.standing();
    s_.apples = {};
    s_.waste = c.polluted;
    s_.num_waste = static_cast<std::uint16_t>(c.polluted.size());
    c.ground.meet(agents, io.neighbours);
    if (c.view.mode == grid::ObsMode::kPlanes) {
      std::ranges::fill(io.obs, Obs{0});
      s_.waste.for_each(c.river.words, [&](std::size_t site) {
        c.view.set(io.obs, kWaste, c.river.cell[site], 1);
      });
      c.view.place(io.obs, agents);
    }
    spawn(c.ground.num_agents, agents, rng, io.obs);
    if (c.view.mode != grid::ObsMode::kPlanes) {
      const Cleaned<grid::kMaxCells> nobody{};
      observe<grid::kMaxCells>(io.obs, nobody.data(), grid::Unlit{});
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

  /// See `Telling`: apples eaten, cells rid of waste and, where there is fire, beams that hit.
  template <class Row>
  bool step_and_tell(Rng& rng, StepView<Obs> io, Row&& row) {
    const std::size_t n = constants_->ground.num_agents;
    grid::Deeds deeds(n);
    play(grid::Crowd{n}, rng, io, grid::Told{&deeds});
    row("eaten", {n}, std::span<const std::int32_t>(deeds.eaten));
    row("cleaned", {n}, std::span<const std::int32_t>(deeds.cleaned));
    if (constants_->p.fire) row("hit", {n}, std::span<const std::int32_t>(deeds.hit));
    return false;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }

  bool admits(const State& state) const noexcept {
    return constants_->ground.admits(state.agents) &&
           state.apples.within(constants_->orchard.all) &&
           state.waste.within(constants_->river.all) && state.num_waste == state.waste.size();
  }

  template <class Row>
  void inspect(Row&& row) const {
    const Constants& c = *constants_;
    grid::inspect(c.ground, s_.agents, row);
    grid::inspect(c.ground, "apples", c.orchard, s_.apples, row);
    grid::inspect(c.ground, "orchard", c.orchard, c.orchard.all, row);
    grid::inspect(c.ground, "waste", c.river, s_.waste, row);
    grid::inspect(c.ground, "river", c.river, c.river.all, row);
    grid::inspect(c.ground, "stream", 'S', row);
  }

 private:
  static constexpr std::size_t kWaste = 0;  // planes
  static constexpr std::size_t kApple = 1;
  enum Around : std::size_t {
    kWaterAround = grid::View::kFirstThing,
    kWasteAround,
    kAppleAround,
    kCleanAround,
    kFireAround
  };

  template <std::size_t kRoom>
  using Cleaned = std::array<std::uint8_t, kRoom>;  // cells per agent, in one step

  /// How apples grow at one amount of waste.
  struct Growth {
    grid::Screen screen;
    double threshold;
  };

  /// What never changes, shared by all copies of an environment.
  struct Constants {
    explicit Constants(const Params& params) : Constants(params, params.parse()) {}

    Constants(const Params& params, const GridMap& map)
        : p(params),
          ground(map, p),
          orchard(map, "B"),
          river(map, "HR"),
          water(grid::Sites(map, "HRS").cell),
          view(ground, p, 2, 12 + ground.num_agents, p.fire ? 5 : 4),
          lights(p.fire || view.centred()),
          clean(grid::first_beam(p.turns)),
          apple(ground.num_agents, 1.0F) {
      std::ranges::transform(read_weights(p.weights, p.num_agents), apple.begin(),
                             [](double weight) { return static_cast<float>(weight); });
      for (std::size_t site = 0; site < river.cell.size(); ++site) {
        if (ground.tile[river.cell[site]] == 'H') polluted.insert(site);
      }
      for (std::size_t waste = 0; waste <= river.cell.size(); ++waste) {
        const double share = static_cast<double>(waste) / static_cast<double>(river.cell.size());
        if (share >= p.threshold_depletion) break;
        const double slope = p.threshold_depletion - p.threshold_restoration;
        const double chance =
            share <= p.threshold_restoration
                ? p.apple_probability
                : p.apple_probability * (1.0 - (share - p.threshold_restoration) / slope);
        const grid::Screen screen(chance);
        growth.push_back({screen, screen.threshold(chance)});
      }
    }

    Params p;
    grid::Ground ground;
    grid::Sites orchard, river;
    std::vector<std::uint16_t> water;  ///< cells of river and stream
    grid::View view;
    bool lights;                 ///< whether it has to be known what beams are on
    std::int32_t clean;          ///< the action; the next one fires
    std::vector<float> apple;    ///< what one is worth to each agent
    grid::SiteSet polluted;      ///< waste at reset
    std::vector<Growth> growth;  ///< by amount of waste; beyond its end nothing appears
  };

  /// Apart from `step`, which would need room for a crowd on the stack.
  [[gnu::noinline]] void play_many(Rng& rng, const StepView<Obs>& io) noexcept {
    play(grid::Crowd{constants_->ground.num_agents}, rng, io);
  }

  /// A step of n agents: see `with_count` and `grid::Crowd`.
  template <class Count, class Tell = grid::Untold>
  void play(Count n, Rng& rng, const StepView<Obs>& io, Tell tell = {}) noexcept {
    const Constants& c = *constants_;
    constexpr std::size_t kRoom = grid::kRoom<Count>;
    const grid::Standing agents = s_.agents.standing<kRoom>();
    grid::Cells<kRoom> before;  // one by one, into registers: a block would go through memory
    for (std::size_t i = 0; i < n; ++i) before[i] = agents.cell[i];
    c.ground.move(n, rng, io.action, agents);
    eat<kRoom>(io, tell);
    if (c.p.profile == grid::Profile::kFeatures) c.ground.turn(io.action, agents);
    c.view.move(n, io.obs, before.data(), agents);
    if (c.lights) {
      finish_lit(grid::any_of(n), rng, io, tell);
    } else {
      finish(n, rng, io, grid::Unlit{}, tell);
    }
  }

  /// Apart from `play`: it needs room for all the cells that beams are on.
  template <class Count, class Tell>
  [[gnu::noinline]] void finish_lit(Count n, Rng& rng, const StepView<Obs>& io,
                                    Tell tell) noexcept {
    grid::Lit lit;
    finish(n, rng, io, lit, tell);
  }

  /// What comes after moving and eating.
  template <class Count, class Lights, class Tell>
  [[gnu::always_inline]] inline void finish(Count n, Rng& rng, const StepView<Obs>& io,
                                            Lights&& lit, Tell tell) noexcept {
    const Constants& c = *constants_;
    constexpr std::size_t kRoom = grid::kRoom<Count>;
    const grid::Standing agents = s_.agents.standing<kRoom>();
    const Cleaned<kRoom> cleaned = act<kRoom>(rng, io, lit, tell);
    if constexpr (Tell::kKept)
      std::copy_n(cleaned.begin(), std::size_t{n}, tell.deeds->cleaned.begin());
    spawn(n, agents, rng, io.obs);
    if (c.p.graph == grid::Graph::kRadius) c.ground.meet(agents, io.neighbours);
    if (c.view.mode != grid::ObsMode::kPlanes) observe<kRoom>(io.obs, cleaned.data(), lit);
  }

  void set_waste(std::size_t site, bool there, std::span<Obs> obs) noexcept {
    there ? s_.waste.insert(site) : s_.waste.erase(site);
    s_.num_waste = static_cast<std::uint16_t>(s_.num_waste + (there ? 1 : -1));
    constants_->view.set(obs, kWaste, constants_->river.cell[site], there);
  }

  template <std::size_t kRoom, class Tell>
  void eat(const StepView<Obs>& io, Tell tell) noexcept {
    const Constants& c = *constants_;
    const grid::Standing agents = s_.agents.standing<kRoom>();
    for (std::size_t i = 0; i < c.ground.num_agents; ++i) {
      const std::uint16_t site = c.orchard.at[agents.cell[i]];
      const bool eats = s_.apples.contains(site) &&
                        (c.p.profile == grid::Profile::kSsd || io.action[i] <= grid::kStay);
      io.reward[i] = eats ? c.apple[i] : 0.0F;
      if constexpr (Tell::kKept) tell.deeds->eaten[i] = eats ? 1 : 0;
      if (!eats) continue;
      s_.apples.erase(site);
      c.view.set(io.obs, kApple, agents.cell[i], 0);
    }
  }

  /// Cleans and fires, in one order: waste that is cleaned first no longer stops who comes later.
  template <std::size_t kRoom, class Lights, class Tell>
  Cleaned<kRoom> act(Rng& rng, const StepView<Obs>& io, Lights& lit, Tell tell) noexcept {
    const Constants& c = *constants_;
    const std::size_t n = c.ground.num_agents;
    const bool ssd = c.p.profile == grid::Profile::kSsd;
    const std::int32_t clean = c.clean;
    Cleaned<kRoom> cleaned{};
    if (std::ranges::none_of(io.action, [clean](std::int32_t a) { return a >= clean; })) {
      if (ssd) rng.discard(n - 1);  // what the permutation below takes
      return cleaned;
    }
    const grid::Standing agents = s_.agents.standing<kRoom>();
    const grid::Occupied<kRoom> occupied(c.ground, agents);
    std::array<std::conditional_t<kRoom <= kMaxAgents, std::uint8_t, std::uint16_t>, kRoom> order;
    if (ssd) {
      rng.perm(std::span(order.data(), n));
    } else {
      std::iota(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n),
                typename decltype(order)::value_type{0});
    }
    if constexpr (Lights::kKept) {
      if (c.view.centred()) lit.clean.begin(c.ground, agents);
      if (c.p.fire) lit.fire.begin(c.ground, agents);
    }
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t i = order[k];
      if (io.action[i] == clean) {
        cleaned[i] = static_cast<std::uint8_t>(sweep(i, io.obs, occupied, lit));
      }
      if constexpr (Lights::kKept) {
        if (io.action[i] != clean + 1) continue;
        grid::beam(c.ground, agents, i, c.p.beam_length, [&](std::size_t cell) {
          const bool occupied = lit.fire.add(cell);
          const bool dirty = c.p.waste_stops_fire && s_.waste.contains(c.river.at[cell]);
          return ssd && (dirty || occupied);
        });
      }
    }
    if constexpr (Lights::kKept) {
      if (c.p.fire) {
        grid::charge(c.ground, io.action, clean + 1, agents, lit.fire, c.p.fire_cost, c.p.hit_cost,
                     io.reward);
      }
      if constexpr (Tell::kKept) {
        for (std::size_t i = 0; i < n && c.p.fire; ++i) {
          tell.deeds->hit[i] = grid::hits(c.ground, io.action, clean + 1, agents, lit.fire, i);
        }
      }
    }
    return cleaned;
  }

  /// Cleans what agent i's beam reaches; returns how many cells. Waste and agents end a lane,
  /// except in the profile features.
  template <std::size_t kRoom, class Lights>
  int sweep(std::size_t i, std::span<Obs> obs, const grid::Occupied<kRoom>& occupied,
            Lights& lit) noexcept {
    const Constants& c = *constants_;
    const grid::Standing agents = s_.agents.standing<kRoom>();
    const bool ssd = c.p.profile == grid::Profile::kSsd;
    int cleaned = 0;
    grid::beam(c.ground, agents, i, c.p.beam_length, [&](std::size_t cell) {
      if constexpr (Lights::kKept) {
        if (lit.clean.begun()) lit.clean.add(cell);
      }
      const std::uint16_t site = c.river.at[cell];
      const bool dirty = s_.waste.contains(site);
      if (dirty) {
        set_waste(site, false, obs);
        ++cleaned;
      }
      return ssd && (dirty || occupied(c.ground, agents, cell));
    });
    return cleaned;
  }

  /// Apples and waste appear, both by the share of waste before either.
  template <class Count>
  [[gnu::always_inline]] inline void spawn(Count n, grid::Standing agents, Rng& rng,
                                           std::span<Obs> obs) noexcept {
    const Constants& c = *constants_;
    if (s_.num_waste >= c.growth.size()) return;
    const Growth& growth = c.growth[s_.num_waste];
    const grid::SiteSet bare = grid::SiteSet::without(
        c.orchard.all, s_.apples, c.orchard.on(n, agents.cell), c.orchard.words);
    growth.screen.draw(rng, bare, c.orchard.words, [&](std::size_t site, double number) {
      if (number >= growth.threshold) return;
      s_.apples.insert(site);
      c.view.set(obs, kApple, c.orchard.cell[site], 1);
    });
    if (c.p.waste_probability > 0) add_waste(rng, obs);
  }

  /// At most one cell of the river takes waste: the first that does, of those without, in random
  /// order (profile ssd) or row by row.
  void add_waste(Rng& rng, std::span<Obs> obs) noexcept {
    const Constants& c = *constants_;
    std::array<std::uint16_t, grid::kMaxSites> clean;
    std::size_t count = 0;
    grid::SiteSet::without(c.river.all, s_.waste, {}, c.river.words)
        .for_each(c.river.words,
                  [&](std::size_t site) { clean[count++] = static_cast<std::uint16_t>(site); });
    const std::size_t tries =
        c.p.waste_mode == Params::WasteMode::kOnce ? std::min<std::size_t>(count, 1) : count;
    for (std::size_t k = 0; k < tries; ++k) {
      if (c.p.profile == grid::Profile::kSsd) {
        std::swap(clean[k], clean[k + rng.below(count - k)]);
      }
      if (rng.u01() < c.p.waste_probability) {
        set_waste(clean[k], true, obs);
        return;
      }
    }
  }

  /// The whole observation, for every mode but planes.
  template <std::size_t kRoom, class Lights>
  void observe(std::span<Obs> obs, const std::uint8_t* cleaned, const Lights& lit) noexcept {
    const Constants& c = *constants_;
    const grid::Standing agents = s_.agents.standing<kRoom>();
    if (c.view.centred()) {
      c.view.centre(obs, agents, [&](auto&& mark) {
        const auto mark_all = [&](Around plane, std::span<const std::uint16_t> cells) {
          for (const std::uint16_t cell : cells) mark(plane, cell);
        };
        mark_all(kWaterAround, c.water);
        s_.waste.for_each(c.river.words,
                          [&](std::size_t site) { mark(kWasteAround, c.river.cell[site]); });
        s_.apples.for_each(c.orchard.words,
                           [&](std::size_t site) { mark(kAppleAround, c.orchard.cell[site]); });
        if constexpr (Lights::kKept) {
          mark_all(kCleanAround, lit.clean.lit());
          mark_all(kFireAround, lit.fire.lit());
        }
      });
      return;
    }
    if (c.view.mode != grid::ObsMode::kFeatures) {
      c.view.draw(obs, c.ground, agents, [&](auto&& paint) {
        s_.waste.for_each(c.river.words,
                          [&](std::size_t site) { paint(c.river.cell[site], grid::kWasteBlue); });
        s_.apples.for_each(c.orchard.words, [&](std::size_t site) {
          paint(c.orchard.cell[site], grid::kAppleGreen);
        });
      });
      return;
    }
    const std::size_t apples = s_.apples.size();
    Obs* to = obs.data();
    for (std::size_t i = 0; i < c.ground.num_agents; ++i) {
      const std::size_t cell = agents.cell[i];
      to = grid::View::describe_agents(to, c.ground, agents, i);
      to = grid::View::describe_nearest(to, c.ground, c.orchard, s_.apples, cell);
      to = grid::View::describe_nearest(to, c.ground, c.river, s_.waste, cell);
      *to++ = grid::View::capped(apples);
      *to++ = grid::View::capped(s_.num_waste);
      to = std::copy_n(cleaned, c.ground.num_agents, to);
    }
  }

  std::shared_ptr<const Constants> constants_;
  State s_;
};

static_assert(Inspectable<Cleanup> && Telling<Cleanup>);

}  // namespace ascore
