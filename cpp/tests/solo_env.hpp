/// One environment with its buffers, for tests that put the pieces where they want them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/rng.hpp"

namespace ascore {

template <MultiAgentEnv Env>
struct SoloEnv {
  explicit SoloEnv(const typename Env::Params& params = {}) : env(params) {
    validate(params);
    const Spec spec = env.spec();
    agents = static_cast<std::size_t>(spec.num_agents);
    reward.resize(agents);
    obs.resize(static_cast<std::size_t>(spec.views) * static_cast<std::size_t>(spec.obs_size));
    neighbours.resize(agents * agents);
  }

  StepView<typename Env::Obs> view(const std::vector<std::int32_t>& action) {
    return {.action = action, .reward = reward, .obs = obs, .neighbours = neighbours};
  }

  static Rng stream(std::uint64_t step) { return {1, 2, 3, step, Domain::kDynamics}; }

  void reset() {
    Rng rng = stream(0);
    env.reset(rng, view({}));
  }

  /// Returns whether the episode terminated.
  bool step(const std::vector<std::int32_t>& action) {
    Rng rng = stream(1);
    return step(action, rng);
  }

  bool step(const std::vector<std::int32_t>& action, Rng& rng) {
    return env.step(rng, view(action));
  }

  bool hears(std::size_t i, std::size_t j) const { return neighbours[i * agents + j] != 0; }

  Env env;
  std::size_t agents = 0;
  std::vector<float> reward;
  std::vector<typename Env::Obs> obs;
  std::vector<std::uint8_t> neighbours;
};

}  // namespace ascore
