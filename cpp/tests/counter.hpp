/// The smallest environment that uses everything a VecEnv offers: one view per agent, integer
/// observations, draws in every step, and an episode that agent 0 ends when it likes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "ascore/env.hpp"
#include "ascore/rng.hpp"

namespace ascore {

struct CounterParams {
  int horizon = 4;

  template <class Self, class Row>
  static void visit(Self& p, Row&& row) {
    row("horizon", p.horizon, Range{1, 100}, "steps until an episode is truncated", "test");
  }

  void check() const {}
};

class Counter {
 public:
  using Params = CounterParams;
  using Obs = std::int16_t;

  struct State {
    std::int32_t count;
    std::int32_t draw;
  };

  enum Action : std::int32_t { kWait, kEnd };
  static constexpr std::array<std::string_view, 2> kActionNames{"wait", "end"};

  explicit Counter(const Params& params) : horizon_(params.horizon) {}

  Spec spec() const noexcept {
    return {.name = "counter-v1",
            .action_names = kActionNames,
            .num_agents = 2,
            .views = 2,
            .obs_size = 3,
            .horizon = horizon_,
            .step_ns = 10};
  }

  void reset(Rng& rng, StepView<Obs> io) noexcept {
    s_ = {0, draw(rng)};
    observe(io);
  }

  bool step(Rng& rng, StepView<Obs> io) noexcept {
    ++s_.count;
    s_.draw = draw(rng);
    io.reward[0] = static_cast<float>(s_.draw);
    io.reward[1] = -io.reward[0];
    observe(io);
    return io.action[0] == kEnd;
  }

  State& state() noexcept { return s_; }
  const State& state() const noexcept { return s_; }
  bool admits(const State& state) const noexcept {
    return state.count >= 0 && state.count < horizon_ && state.draw >= 0 && state.draw < kDraws;
  }

  static constexpr std::int32_t kDraws = 1000;
  static std::int32_t draw(Rng& rng) noexcept {
    return static_cast<std::int32_t>(rng.below(kDraws));
  }

 private:
  /// View v is (v, steps so far, last draw); the agents hear each other after an odd step.
  void observe(StepView<Obs> io) const noexcept {
    for (std::int16_t v = 0; v < 2; ++v) {
      const auto at = static_cast<std::size_t>(3 * v);
      io.obs[at] = v;
      io.obs[at + 1] = static_cast<Obs>(s_.count);
      io.obs[at + 2] = static_cast<Obs>(s_.draw);
    }
    const auto hears = static_cast<std::uint8_t>(s_.count % 2);
    io.neighbours[1] = io.neighbours[2] = hears;
  }

  int horizon_;
  State s_{};
};

static_assert(MultiAgentEnv<Counter>);

}  // namespace ascore
