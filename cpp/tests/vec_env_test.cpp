#include "ascore/vec_env.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/envs/exchange.hpp"
#include "counter.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

using Bytes = std::vector<std::uint8_t>;

// ---- results depend on neither threads nor batch ---------------------------------------------

template <class T>
void append(Bytes& to, std::span<const T> buffer, std::size_t env, std::size_t num_envs) {
  const std::size_t width = buffer.size() / num_envs;
  const auto bytes = std::as_bytes(buffer.subspan(env * width, width));
  const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
  to.insert(to.end(), from, from + bytes.size());
}

/// Every buffer of one environment of a batch.
template <class Env>
void append_all(Bytes& to, const VecEnv<Env>& batch, std::size_t env) {
  const std::size_t num_envs = batch.num_envs();
  append(to, batch.obs(), env, num_envs);
  append(to, batch.final_obs(), env, num_envs);
  append(to, batch.reward(), env, num_envs);
  append(to, batch.neighbours(), env, num_envs);
  append(to, batch.terminated(), env, num_envs);
  append(to, batch.truncated(), env, num_envs);
  append(to, batch.episode(), env, num_envs);
  append(to, batch.time(), env, num_envs);
}

/// Of larger observations less is played and recorded: bytes of one environment.
constexpr std::size_t kLargeView = 4096;

/// What each environment went through, one trace per environment: its buffers and its uniform
/// numbers after every call. Actions follow from the uniform numbers, so they are part of it.
template <class Env>
std::vector<Bytes> traces(std::size_t num_envs, std::uint64_t first_env, int num_threads,
                          const typename Env::Params& params) {
  VecEnv<Env> batch(num_envs, 17, first_env, num_threads, params);
  const std::size_t agents = batch.num_agents();
  const int steps = batch.obs().size_bytes() / num_envs > kLargeView ? 16 : 40;
  std::vector<Bytes> out(num_envs);
  std::vector<float> uniform(num_envs * agents);
  std::vector<std::int32_t> action(num_envs * agents);
  const auto record = [&] {
    batch.uniforms(uniform);
    for (std::size_t b = 0; b < num_envs; ++b) {
      append_all(out[b], batch, b);
      append(out[b], std::span<const float>(uniform), b, num_envs);
    }
  };
  batch.reset();
  record();
  for (int step = 0; step < steps; ++step) {
    if (step == steps - 15) batch.reset();
    const auto actions = static_cast<float>(batch.spec().num_actions());
    std::ranges::transform(uniform, action.begin(),
                           [actions](float u) { return static_cast<std::int32_t>(u * actions); });
    batch.step(action);
    record();
  }
  return out;
}

template <class Env>
void check_invariance(const typename Env::Params& params) {
  const bool large = VecEnv<Env>(1, 17, 0, 1, params).obs().size_bytes() > kLargeView;
  const std::size_t most = large ? 9 : 64;
  const std::vector<Bytes> expected = traces<Env>(most, 5, 1, params);
  for (const std::size_t num_envs : {std::size_t{4}, std::size_t{5}, std::size_t{16}, most}) {
    if (num_envs > most) continue;
    for (const int num_threads : {1, 2, 3, 5, 16, 99}) {
      if (large && num_threads == 5) break;
      CAPTURE(num_envs);
      CAPTURE(num_threads);
      const std::vector<Bytes> got = traces<Env>(num_envs, 5, num_threads, params);
      CHECK(std::ranges::equal(got, std::span(expected).first(num_envs)));
    }
  }
  // The number of an environment counts, not its place in the batch.
  CHECK(std::ranges::equal(traces<Env>(most / 4, 5 + most / 2, 2, params),
                           std::span(expected).subspan(most / 2, most / 4)));
  CHECK(expected[0] != expected[1]);
}

TEST_CASE("threads and batches do not change a bit") {
  for_each_variant([]<class Env>(const typename Env::Params& params) {
    check_invariance<Env>(with_horizon(params, 11));
  });
  check_invariance<Counter>({});
}

TEST_CASE("there are as many threads as asked for, but no more than environments") {
  CHECK(VecEnv<Counter>(5, 0, 0, 1, {}).num_threads() == 1);
  CHECK(VecEnv<Counter>(5, 0, 0, 3, {}).num_threads() == 3);
  CHECK(VecEnv<Counter>(5, 0, 0, 99, {}).num_threads() == 5);
  // 5 steps of 10 ns are not worth a hand-over.
  CHECK(VecEnv<Counter>(5, 0, 0, 0, {}).num_threads() == 1);
}

// ---- actions are read once -------------------------------------------------------------------

/// Plays Counter, and in every step overwrites what the caller holds, as another thread might.
class Meddler {
 public:
  using Params = CounterParams;
  using Obs = Counter::Obs;
  using State = Counter::State;

  explicit Meddler(const Params& params) : counter_(params) {}

  Spec spec() const noexcept { return counter_.spec(); }
  void reset(Rng& rng, StepView<Obs> io) noexcept { counter_.reset(rng, io); }
  bool step(Rng& rng, StepView<Obs> io) noexcept {
    std::ranges::fill(held, std::numeric_limits<std::int32_t>::max());
    played += std::ranges::count(io.action, Counter::kWait);
    return counter_.step(rng, io);
  }
  State& state() noexcept { return counter_.state(); }
  const State& state() const noexcept { return counter_.state(); }
  bool admits(const State& state) const noexcept { return counter_.admits(state); }

  inline static std::span<std::int32_t> held;  ///< the caller's actions
  inline static std::ptrdiff_t played = 0;     ///< how many were kWait

 private:
  Counter counter_;
};

TEST_CASE("actions that change while a step runs are played as they were checked") {
  VecEnv<Meddler> batch(3, 0, 0, 1, {});
  batch.reset();
  std::vector<std::int32_t> action(6, Counter::kWait);
  Meddler::held = action;
  Meddler::played = 0;
  batch.step(action);
  CHECK(Meddler::played == 6);
  CHECK_THROWS_AS(batch.step(action), std::invalid_argument);  // what the caller holds by now
  CHECK(Meddler::played == 6);
}

TEST_CASE("actions that change while a rollout runs are played as they were drawn") {
  constexpr std::size_t kSteps = 5, kEnvs = 3;
  VecEnv<Meddler> batch(kEnvs, 0, 0, 1, {});
  batch.reset();
  std::vector<Meddler::Obs> obs(kSteps * kEnvs * 6);
  std::vector<std::uint8_t> neighbours(kSteps * kEnvs * 4), ended(2 * kSteps * kEnvs);
  std::vector<std::int32_t> action(kSteps * kEnvs * 2);
  std::vector<float> reward(action.size());
  std::vector<double> running(kEnvs * 2);
  Meddler::held = action;
  Meddler::played = 0;
  std::vector<std::size_t> rows;
  auto act = [&rows](std::size_t, std::size_t row, std::size_t count, const auto*, const float*,
                     std::int32_t* to) noexcept {
    rows.push_back(row);
    std::fill_n(to, 2 * count, Counter::kWait);
  };
  batch.rollout({.steps = kSteps,
                 .obs = obs,
                 .neighbours = neighbours,
                 .action = action,
                 .reward = reward,
                 .terminated = std::span(ended).first(kSteps * kEnvs),
                 .truncated = std::span(ended).subspan(kSteps * kEnvs),
                 .running = running},
                act);
  CHECK(Meddler::played == static_cast<std::ptrdiff_t>(action.size()));
  CHECK(rows == std::vector<std::size_t>{0, kEnvs, 2 * kEnvs, 3 * kEnvs, 4 * kEnvs});
}

TEST_CASE("some agents choose with what they see and the numbers that are theirs") {
  constexpr std::size_t kEnvs = 3, kViews = 2, kSize = 3;
  VecEnv<Counter> batch(kEnvs, 5, 1, 2, {});
  std::vector<Counter::Obs> obs(kEnvs * kSize);
  std::vector<std::int32_t> action(kEnvs);
  std::vector<float> uniform(kEnvs * kViews);
  const auto number = [](float x) { return static_cast<std::int32_t>(x * 0x1.0p24F); };
  auto act = [&number](std::size_t, std::size_t, std::size_t count, const auto*, const float* from,
                       std::int32_t* to) noexcept {
    std::transform(from, from + count, to, number);
  };
  CHECK_THROWS_AS(batch.choose(0, 1, obs, action, act), std::invalid_argument);
  batch.reset();
  batch.step(std::vector<std::int32_t>(kEnvs * kViews, Counter::kWait));
  batch.uniforms(uniform);
  for (std::size_t agent = 0; agent < kViews; ++agent) {
    batch.choose(agent, 1, obs, action, act);
    for (std::size_t b = 0; b < kEnvs; ++b) {
      CHECK(action[b] == number(uniform[b * kViews + agent]));
      CHECK(std::ranges::equal(std::span(obs).subspan(b * kSize, kSize),
                               batch.obs().subspan((b * kViews + agent) * kSize, kSize)));
    }
  }
  CHECK_THROWS_AS(batch.choose(2, 1, obs, action, act), std::invalid_argument);
  CHECK_THROWS_AS(batch.choose(1, 2, obs, action, act), std::invalid_argument);
}

// ---- episodes --------------------------------------------------------------------------------

constexpr std::int32_t kWait = Counter::kWait, kEnd = Counter::kEnd;
using Obs = std::vector<Counter::Obs>;

/// What Counter draws in the step that leads to `time`, or in the reset for time 0.
Counter::Obs drawn(std::uint64_t seed, std::uint64_t env, std::uint64_t episode,
                   std::uint64_t time) {
  Rng rng(seed, env, episode, time, Domain::kDynamics);
  return static_cast<Counter::Obs>(Counter::draw(rng));
}

Obs views(Counter::Obs count, Counter::Obs draw) { return {0, count, draw, 1, count, draw}; }

template <class T>
std::vector<T> copy(std::span<const T> buffer) {
  return {buffer.begin(), buffer.end()};
}

TEST_CASE("buffers are zero before the first reset") {
  const VecEnv<Counter> batch(2, 3, 0, 1, {});
  CHECK(copy(batch.obs()) == Obs(12, 0));
  CHECK(copy(batch.final_obs()) == Obs(12, 0));
  CHECK(copy(batch.reward()) == std::vector<float>(4, 0));
  CHECK(copy(batch.episode()) == std::vector<std::uint64_t>(2, 0));
}

TEST_CASE("a step writes obs, reward, neighbours and time, and its stream is step t + 1") {
  VecEnv<Counter> batch(1, 3, 8, 1, {});
  batch.reset();
  CHECK(copy(batch.obs()) == views(0, drawn(3, 8, 0, 0)));
  CHECK(copy(batch.neighbours()) == Bytes{0, 0, 0, 0});
  batch.step(std::vector{kWait, kWait});
  const Counter::Obs draw = drawn(3, 8, 0, 1);
  CHECK(copy(batch.obs()) == views(1, draw));
  CHECK(copy(batch.reward()) == std::vector<float>{float(draw), -float(draw)});
  CHECK(copy(batch.neighbours()) == Bytes{0, 1, 1, 0});
  CHECK(batch.time()[0] == 1);
}

TEST_CASE("a time limit truncates and begins the next episode within the step") {
  VecEnv<Counter> batch(1, 3, 8, 1, {.horizon = 2});
  batch.reset();
  batch.step(std::vector{kWait, kWait});
  CHECK(batch.truncated()[0] == 0);
  CHECK(copy(batch.final_obs()) == Obs(6, 0));
  batch.step(std::vector{kWait, kWait});
  CHECK(batch.truncated()[0] == 1);
  CHECK(batch.terminated()[0] == 0);
  CHECK(batch.reward()[0] == drawn(3, 8, 0, 2));
  CHECK(copy(batch.final_obs()) == views(2, drawn(3, 8, 0, 2)));
  CHECK(copy(batch.obs()) == views(0, drawn(3, 8, 1, 0)));
  CHECK(copy(batch.neighbours()) == Bytes{0, 0, 0, 0});
  CHECK(batch.episode()[0] == 1);
  CHECK(batch.time()[0] == 0);

  batch.step(std::vector{kWait, kWait});
  CHECK(batch.truncated()[0] == 0);
  CHECK(copy(batch.obs()) == views(1, drawn(3, 8, 1, 1)));
  CHECK(copy(batch.final_obs()) == views(2, drawn(3, 8, 0, 2)));  // kept
}

TEST_CASE("a termination does the same, for its environment alone") {
  VecEnv<Counter> batch(2, 3, 0, 2, {});
  batch.reset();
  batch.step(std::vector{kWait, kWait, kEnd, kWait});
  CHECK(copy(batch.terminated()) == Bytes{0, 1});
  CHECK(copy(batch.truncated()) == Bytes{0, 0});
  CHECK(copy(batch.episode()) == std::vector<std::uint64_t>{0, 1});
  CHECK(copy(batch.time()) == std::vector<std::int32_t>{1, 0});
  CHECK(copy(batch.final_obs().first(6)) == Obs(6, 0));
  CHECK(copy(batch.final_obs().subspan(6)) == views(1, drawn(3, 1, 0, 1)));
  CHECK(copy(batch.obs().subspan(6)) == views(0, drawn(3, 1, 1, 0)));
}

TEST_CASE("an episode can be terminated and truncated at once") {
  VecEnv<Counter> batch(1, 3, 0, 1, {.horizon = 1});
  batch.reset();
  batch.step(std::vector{kEnd, kWait});
  CHECK(batch.terminated()[0] == 1);
  CHECK(batch.truncated()[0] == 1);
  CHECK(batch.episode()[0] == 1);
}

TEST_CASE("reset goes on to the next episode and clears rewards and flags") {
  VecEnv<Counter> batch(1, 3, 0, 1, {.horizon = 1});
  batch.reset();
  CHECK(batch.episode()[0] == 0);
  batch.step(std::vector{kEnd, kWait});  // begins episode 1
  batch.reset();
  CHECK(batch.episode()[0] == 2);
  CHECK(copy(batch.obs()) == views(0, drawn(3, 0, 2, 0)));
  CHECK(batch.reward()[0] == 0);
  CHECK(batch.terminated()[0] == 0);
  CHECK(batch.truncated()[0] == 0);
}

TEST_CASE("reset with a seed starts over under that seed") {
  VecEnv<Counter> batch(1, 3, 0, 1, {});
  batch.reset();
  batch.reset();
  batch.reset(4);
  CHECK(batch.episode()[0] == 0);
  CHECK(copy(batch.obs()) == views(0, drawn(4, 0, 0, 0)));
  batch.reset();
  CHECK(copy(batch.obs()) == views(0, drawn(4, 0, 1, 0)));
}

TEST_CASE("uniform numbers are words of the action stream at the current time") {
  VecEnv<Counter> batch(2, 3, 8, 2, {});
  batch.reset();
  batch.step(std::vector{kWait, kWait, kEnd, kWait});
  std::vector<float> uniform(4);
  batch.uniforms(uniform);
  Rng running(3, 8, 0, 1, Domain::kAction), fresh(3, 9, 1, 0, Domain::kAction);
  CHECK(uniform[0] == running.u01_single());
  CHECK(uniform[1] == running.u01_single());
  CHECK(uniform[2] == fresh.u01_single());
  CHECK(uniform[3] == fresh.u01_single());
}

// ---- misuse ----------------------------------------------------------------------------------

template <class Call>
std::string refusal(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("stepping or drawing before the first reset is refused") {
  VecEnv<Counter> batch(1, 3, 0, 1, {});
  std::vector<float> uniform(2);
  CHECK(refusal([&] { batch.step(std::vector{kWait, kWait}); }) ==
        "step before the first reset of counter-v1; call reset() first");
  CHECK(refusal([&] { batch.uniforms(uniform); }) ==
        "uniforms before the first reset of counter-v1; call reset() first");
}

TEST_CASE("a bad action is named and nothing moves") {
  VecEnv<Exchange> batch(4, 3, 0, 2, {});
  batch.reset();
  const Bytes before = batch.save_state();
  std::vector<std::int32_t> action(12, Exchange::kRight);
  action[10] = 7;
  CHECK(refusal([&] { batch.step(action); }) ==
        "action[3, 1] = 7 is outside 0..5; exchange-v1 has 6 actions: "
        "stay, left, right, down, up, open");
  action[3] = -1;
  CHECK(refusal([&] { batch.step(action); }).starts_with("action[1, 0] = -1 is outside 0..5"));
  action[3] = std::numeric_limits<std::int32_t>::min();
  CHECK(refusal([&] { batch.step(action); }).starts_with("action[1, 0] = -2147483648 is"));
  CHECK(batch.save_state() == before);
}

TEST_CASE("arrays of the wrong size are refused") {
  VecEnv<Counter> batch(2, 3, 0, 1, {});
  batch.reset();
  std::vector<float> uniform(5);
  CHECK(refusal([&] { batch.step(std::vector{kWait, kWait}); }) == "action has 2 entries, want 4");
  CHECK(refusal([&] { batch.uniforms(uniform); }) == "out has 5 entries, want 4");
}

TEST_CASE("bad counts and parameters are refused") {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  CHECK(refusal([] { VecEnv<Counter>(0, 0, 0, 1, {}); }) == "num_envs = 0 is below 1");
  CHECK(refusal([] { VecEnv<Counter>(1, 0, 0, -2, {}); }) ==
        "num_threads = -2 is below 0; 0 chooses");
  CHECK(refusal([] { VecEnv<Counter>(2, 0, kMost, 1, {}); }) ==
        "first_env + num_envs does not fit into 64 bits");
  CHECK(refusal([] { VecEnv<Counter>(1, 0, kMost, 1, {}); }) == "");
  CHECK(refusal([] { VecEnv<Counter>(1, 0, 0, 1, {.horizon = 0}); }) ==
        "horizon = 0 is outside 1..100");
}

}  // namespace
}  // namespace ascore
