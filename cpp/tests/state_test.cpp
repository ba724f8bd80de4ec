// save_state and load_state of VecEnv.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/envs/exchange.hpp"
#include "ascore/envs/predation.hpp"
#include "ascore/vec_env.hpp"
#include "counter.hpp"
#include "saved_state.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

template <class Env>
void play(VecEnv<Env>& batch, int steps) {
  std::vector<float> uniform(batch.num_envs() * batch.num_agents());
  std::vector<std::int32_t> action(uniform.size());
  for (int step = 0; step < steps; ++step) {
    batch.uniforms(uniform);
    for (std::size_t k = 0; k < action.size(); ++k) {
      action[k] =
          static_cast<std::int32_t>(uniform[k] * static_cast<float>(batch.spec().num_actions()));
    }
    batch.step(action);
  }
}

/// A saved state is every bit that changes, so equal states mean equal futures and equal buffers.
template <class Env>
void check_round_trip(const typename Env::Params& params) {
  VecEnv<Env> batch(5, 3, 7, 2, params);
  batch.reset();
  play(batch, 17);
  const Bytes saved = batch.save_state();
  const auto* const obs = batch.obs().data();
  const auto* const time = batch.time().data();
  play(batch, 23);
  const Bytes later = batch.save_state();
  CHECK(saved != later);

  batch.load_state(saved);
  CHECK(batch.save_state() == saved);
  CHECK(batch.obs().data() == obs);  // in place: others look at these buffers
  CHECK(batch.time().data() == time);
  play(batch, 23);
  CHECK(batch.save_state() == later);

  VecEnv<Env> other(5, 99, 7, 1, params);  // another seed and thread count, not yet reset
  other.load_state(saved);
  play(other, 23);
  CHECK(other.save_state() == later);
}

TEST_CASE("going back and on again gives the same bits") {
  for_each_variant([]<class Env>(const typename Env::Params& params) {
    check_round_trip<Env>(with_horizon(params, 6));
  });
  check_round_trip<Counter>({});
}

TEST_CASE("a state from before the first reset brings that moment back") {
  VecEnv<Exchange> batch(2, 3, 0, 1, {});
  const Bytes untouched = batch.save_state();
  batch.reset();
  const Bytes begun = batch.save_state();
  play(batch, 3);
  batch.load_state(untouched);
  CHECK_THROWS_AS(batch.step(std::vector<std::int32_t>(6)), std::invalid_argument);
  batch.reset();
  CHECK(batch.save_state() == begun);
}

TEST_CASE("a state of another environment, parameter set or batch is refused") {
  VecEnv<Exchange> batch(2, 3, 0, 1, {});
  batch.reset();
  const Bytes before = batch.save_state();
  const auto state_of = [](auto other) {
    other.reset();
    return other.save_state();
  };
  CHECK(complaint(batch, state_of(VecEnv<Predation>(2, 3, 0, 1, {.num_agents = 3})))
            .starts_with("state belongs to \"ascore state 2, predation-v1, num_envs = 2"));
  CHECK(complaint(batch, state_of(VecEnv<Exchange>(3, 3, 0, 1, {}))).find("num_envs = 3") !=
        std::string::npos);
  CHECK(complaint(batch, state_of(VecEnv<Exchange>(2, 3, 1, 1, {}))).find("first_env = 1") !=
        std::string::npos);
  CHECK(complaint(batch, state_of(VecEnv<Exchange>(2, 3, 0, 1, {.cost = 4.75})))
            .find("cost = 4.75") != std::string::npos);
  CHECK(complaint(batch, state_of(VecEnv<Exchange>(2, 3, 0, 1,
                                                   {.contest = ExchangeParams::Contest::kLowest})))
            .find("contest = lowest") != std::string::npos);
  CHECK(batch.save_state() == before);
}

TEST_CASE("a truncated state is refused, wherever it ends") {
  VecEnv<Exchange> batch(2, 3, 0, 1, {});
  batch.reset();
  const Bytes saved = batch.save_state();
  for (std::size_t size = 0; size < saved.size(); ++size) {
    const std::string message = complaint(batch, std::span(saved).first(size));
    if (message.find("truncated") == std::string::npos) FAIL("size " << size << ": " << message);
  }
  Bytes longer = saved;
  longer.push_back(0);
  CHECK(complaint(batch, longer) != "");
  CHECK(batch.save_state() == saved);
}

TEST_CASE("a damaged state is refused, whichever byte it is") {
  VecEnv<Exchange> batch(2, 3, 0, 1, {});
  batch.reset();
  const Bytes saved = batch.save_state();
  Bytes damaged = saved;
  for (std::size_t k = 0; k < saved.size(); ++k) {
    damaged[k] ^= 0x10;
    if (complaint(batch, damaged) == "") FAIL("byte " << k);
    damaged[k] = saved[k];
  }
  CHECK(batch.save_state() == saved);
  CHECK(complaint(batch, Bytes(saved.size(), 0xff)) ==
        "state is truncated or was not written by save_state");
}

// A state with a matching checksum need not come from save_state.

TEST_CASE("an impossible state is refused even if its checksum matches") {
  constexpr std::size_t kSecond = kStatesAt + sizeof(Counter::State);
  constexpr std::size_t kTimes = kSecond + sizeof(Counter::State);
  VecEnv<Counter> batch(2, 3, 0, 1, {.horizon = 4});
  batch.reset();
  const Bytes saved = batch.save_state();

  const Bytes other = forged(saved, kSecond, std::int32_t{2});
  CHECK(complaint(batch, other) == "");
  CHECK(batch.save_state() == other);
  batch.load_state(saved);

  CHECK(complaint(batch, forged(saved, kSecond, std::int32_t{-1})) ==
        "state of environment 1 is impossible in counter-v1");
  for (const std::int32_t time : {-1, 4, 2147483647}) {
    CHECK(complaint(batch, forged(saved, kTimes, time)) ==
          "state of environment 0 is impossible in counter-v1");
  }
  CHECK(complaint(batch, forged(saved, kStartedAt, std::uint8_t{2})) ==
        "state has started = 2, want 0 or 1; load one that save_state returned");
  CHECK(batch.save_state() == saved);
}

TEST_CASE("a flag other than 0 and 1 is refused by name") {
  VecEnv<Counter> batch(2, 3, 0, 1, {});
  batch.reset();
  const Bytes saved = batch.save_state();
  // The last are neighbours [2, 2, 2], terminated [2] and truncated [2].
  const auto complaint_from_end = [&](std::size_t back) {
    const std::size_t end = saved.size() - payload_at(saved);
    return complaint(batch, forged(saved, end - back, std::uint8_t{7}));
  };
  constexpr const char* kRest = ", want 0 or 1; load one that save_state returned";
  CHECK(complaint_from_end(1) ==
        std::string("state of environment 1 holds 7 in truncated") + kRest);
  CHECK(complaint_from_end(4) ==
        std::string("state of environment 0 holds 7 in terminated") + kRest);
  CHECK(complaint_from_end(8) ==
        std::string("state of environment 1 holds 7 in neighbours") + kRest);
  CHECK(complaint_from_end(12) ==
        std::string("state of environment 0 holds 7 in neighbours") + kRest);
  CHECK(batch.save_state() == saved);
}

}  // namespace
}  // namespace ascore
