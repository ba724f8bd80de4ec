// Saved states with bytes changed and the checksum put right. Each must be refused, or be one that
// the environment can play on from; sanitizers watch. ASCORE_FUZZ_STATES=100000 tries so many
// states of every environment; without it there are few.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/vec_env.hpp"
#include "saved_state.hpp"
#include "variants.hpp"

namespace ascore {
namespace {

constexpr std::size_t kEnvs = 3;
constexpr int kSteps = 20;
constexpr std::size_t kLooked = std::size_t{1} << 24;  // bytes: fewer states of large views

std::size_t num_states() {
  const char* const given = std::getenv("ASCORE_FUZZ_STATES");
  return given == nullptr ? 2'000 : std::stoul(given);
}

template <class T>
void write(Bytes& state, std::size_t at, T value) {
  if (at + sizeof(value) <= state.size()) std::memcpy(state.data() + at, &value, sizeof(value));
}

/// Changes one thing. The payload begins at `payload`; `states` bytes of environments and times lie
/// behind seed and started.
void mutate(Bytes& state, std::size_t payload, std::size_t states, Rng& rng) {
  const std::size_t all = state.size() - payload;
  const auto place = [&] {
    switch (rng.below(8)) {
      case 0:
        return payload + kStartedAt;
      case 1:
        return payload + rng.below(all);
      case 2:  // flags come last
        return state.size() - 1 - rng.below(std::min<std::size_t>(all, kEnvs * 8));
      case 3:
        return rng.below(state.size());
      default:
        return payload + kStatesAt + rng.below(states);
    }
  };
  const std::size_t at = place();
  switch (rng.below(6)) {
    case 0:
      state[at] = static_cast<std::uint8_t>(rng.below(256));
      break;
    case 1:
      state[at] ^= static_cast<std::uint8_t>(1U << rng.below(8));
      break;
    case 2:
      state[at] = static_cast<std::uint8_t>(rng.below(6));
      break;
    case 3:
      write(state, at, std::array<std::uint16_t, 4>{0, 0x7FFF, 0x8000, 0xFFFF}[rng.below(4)]);
      break;
    case 4:
      write(state, at,
            std::array{std::numeric_limits<std::int32_t>::max(),
                       std::numeric_limits<std::int32_t>::min(), -1, 1}[rng.below(4)]);
      break;
    default:
      write(state, at, std::array{std::nan(""), HUGE_VAL, -1.0, 0.5}[rng.below(4)]);
  }
}

template <class Env>
void play_on(VecEnv<Env>& batch, Rng& rng) {
  if (!batch.started()) batch.reset();
  std::vector<std::int32_t> action(kEnvs * batch.num_agents());
  for (int step = 0; step < kSteps; ++step) {
    for (std::int32_t& a : action) {
      a = static_cast<std::int32_t>(
          rng.below(static_cast<std::uint64_t>(batch.spec().num_actions())));
    }
    batch.inspect(0, IgnoredRow{});
    batch.step(action);
    REQUIRE(std::ranges::all_of(batch.reward(), [](float r) { return std::isfinite(r); }));
  }
  for (std::size_t b = 0; b < kEnvs; ++b) REQUIRE(batch.env(b).admits(batch.env(b).state()));
}

template <class Env>
void fuzz(const typename Env::Params& params, std::size_t count) {
  std::size_t accepted = 0, refused = 0;
  VecEnv<Env> batch(kEnvs, 3, 0, 1, params);
  count = std::min(count, 10 + kLooked / batch.obs().size_bytes());
  Rng rng(3, 0, 0, 0, Domain::kAction);
  std::vector<Bytes> good{batch.save_state()};
  for (int k = 0; k < 5; ++k) {
    play_on(batch, rng);
    good.push_back(batch.save_state());
  }
  const std::size_t states = kEnvs * (saved_size(batch.env(0).state()) + sizeof(std::int32_t));
  for (std::size_t k = 0; k < count; ++k) {
    Bytes state = good[rng.below(good.size())];
    const std::size_t payload = payload_at(state);
    for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) mutate(state, payload, states, rng);
    if (payload_at(state) == payload) repair(state);
    try {
      batch.load_state(state);
    } catch (const std::invalid_argument& error) {
      REQUIRE(std::string(error.what()).starts_with("state "));
      ++refused;
      continue;
    }
    ++accepted;
    play_on(batch, rng);
    batch.load_state(batch.save_state());
  }
  CHECK(accepted > (accepted + refused) / 50);
  CHECK(refused > (accepted + refused) / 50);
}

TEST_CASE("forged states are refused or can be played on from") {
  for_each_variant([]<class Env>(const typename Env::Params& params) {
    fuzz<Env>(with_horizon(params, 7), num_states() / variants<Env>().size() + 1);
  });
}

}  // namespace
}  // namespace ascore
