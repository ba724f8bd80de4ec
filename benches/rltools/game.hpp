/// @file
/// One agent's C. Navigation as an environment of RLtools. The dynamics are ascore's own header;
/// only the action differs, because RLtools' PPO has Gaussian policies alone.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "ascore/envs/navigation.hpp"
#include "ascore/rng.hpp"

namespace peer {

inline constexpr int kObs = 4;  ///< own place and landmark

/// A game with the buffers that `ascore::VecEnv` would give it.
struct Game {
  static constexpr auto kParams = [] {
    ascore::NavigationParams params;
    params.num_agents = 1;
    return params;
  };

  explicit Game(std::uint64_t number) : number(number) {}

  ascore::Rng stream(std::uint64_t step) const {
    return {0, number, episode, step, ascore::Domain::kDynamics};
  }

  ascore::StepView<float> view() { return {action, reward, obs, neighbours}; }

  void reset() {
    ++episode;
    time = 0;
    ascore::Rng rng = stream(0);
    navigation.reset(rng, view());
  }

  void step(std::int32_t chosen) {
    action[0] = chosen;
    ascore::Rng rng = stream(++time);
    navigation.step(rng, view());
  }

  std::uint64_t number;
  std::uint64_t episode = 0, time = 0;
  ascore::Navigation navigation{kParams()};
  std::array<std::int32_t, 1> action{};
  std::array<float, 1> reward{};
  std::array<float, kObs> obs{};
  std::array<std::uint8_t, 1> neighbours{};
};

/// The walk that is nearest to a drawn pair (right, down): one cell along its longer entry, or none
/// if both are short.
inline std::int32_t walk(float right, float down) {
  constexpr float kShort = 0.5F;
  const float across = std::abs(right), along = std::abs(down);
  if (across < kShort && along < kShort) return ascore::Navigation::kStay;
  if (across >= along) return right > 0 ? ascore::Navigation::kRight : ascore::Navigation::kLeft;
  return down > 0 ? ascore::Navigation::kDown : ascore::Navigation::kUp;
}

/// RLtools' interface. It copies environments byte by byte and plays each from one place only, so
/// that the environment can be a pointer and the state what was last seen of the game.
template <class T_TI>
struct Environment {
  using T = float;
  using TI = T_TI;
  struct State {
    std::array<float, kObs> obs;
    float reward;
  };
  struct Parameters {};
  struct Observation {
    static constexpr TI DIM = kObs;
  };
  using ObservationPrivileged = Observation;
  static constexpr TI N_AGENTS = 1;
  static constexpr TI ACTION_DIM = 2;
  static constexpr TI EPISODE_STEP_LIMIT = ascore::NavigationParams{}.horizon;

  Game* game;
};

template <class Device, class TI>
void malloc(Device&, Environment<TI>&) {}

template <class Device, class TI>
void free(Device&, Environment<TI>&) {}

template <class Device, class TI>
void init(Device&, Environment<TI>& env) {
  static std::deque<Game> games;
  env.game = &games.emplace_back(games.size());
}

template <class Device, class TI, class Random>
void sample_initial_parameters(Device&, Environment<TI>&, typename Environment<TI>::Parameters&,
                               Random&) {}

template <class Device, class TI, class Random>
void sample_initial_state(Device&, Environment<TI>& env, typename Environment<TI>::Parameters&,
                          typename Environment<TI>::State& state, Random&) {
  env.game->reset();
  state = {env.game->obs, 0};
}

template <class Device, class TI, class Row, class Random>
void observe(Device&, const Environment<TI>&, const typename Environment<TI>::Parameters&,
             const typename Environment<TI>::State& state,
             const typename Environment<TI>::Observation&, Row& row, Random&) {
  for (std::size_t i = 0; i < kObs; ++i) set(row, 0, i, state.obs[i]);
}

template <class Device, class TI, class Row, class Random>
float step(Device&, Environment<TI>& env, typename Environment<TI>::Parameters&,
           const typename Environment<TI>::State&, const Row& action,
           typename Environment<TI>::State& next, Random&) {
  env.game->step(walk(get(action, 0, 0), get(action, 0, 1)));
  next = {env.game->obs, env.game->reward[0]};
  return 1;
}

template <class Device, class TI, class Row, class Random>
float reward(Device&, const Environment<TI>&, typename Environment<TI>::Parameters&,
             const typename Environment<TI>::State&, const Row&,
             const typename Environment<TI>::State& next, Random&) {
  return next.reward;
}

template <class Device, class TI, class Random>
bool terminated(Device&, const Environment<TI>&, typename Environment<TI>::Parameters&,
                const typename Environment<TI>::State&, Random&) {
  return false;
}

}  // namespace peer
