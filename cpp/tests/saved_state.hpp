/// The bytes of `VecEnv::save_state` for tests that change them: a header (size of the owner line,
/// checksum), the owner line, then the payload: seed, started, states, times, buffers.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/vec_env.hpp"

namespace ascore {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::size_t kStartedAt = sizeof(std::uint64_t);  // in the payload
inline constexpr std::size_t kStatesAt = kStartedAt + 1;

/// Where the payload begins.
inline std::size_t payload_at(const Bytes& state) {
  std::uint64_t owner_size = 0;
  std::memcpy(&owner_size, state.data(), sizeof(owner_size));
  return 2 * sizeof(std::uint64_t) + owner_size;
}

/// Makes the checksum match the payload.
inline void repair(Bytes& state) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (std::size_t k = payload_at(state); k < state.size(); ++k) {
    hash = (hash ^ state[k]) * 0x100000001B3;
  }
  std::memcpy(state.data() + sizeof(std::uint64_t), &hash, sizeof(hash));
}

/// The state with a value written into its payload, and a checksum to match.
template <class T>
Bytes forged(Bytes state, std::size_t offset, const T& value) {
  std::memcpy(state.data() + payload_at(state) + offset, &value, sizeof(value));
  repair(state);
  return state;
}

/// Why a batch refuses a state; empty if it takes it.
template <class Env>
std::string complaint(VecEnv<Env>& batch, std::span<const std::uint8_t> state) {
  try {
    batch.load_state(state);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

/// Checks that a state is refused in which something was written at these places of the first
/// environment.
template <class Env, class T>
void check_refused(const typename Env::Params& params, const std::vector<std::size_t>& places,
                   T value) {
  VecEnv<Env> batch(1, 3, 0, 1, params);
  batch.reset();
  const Bytes saved = batch.save_state();
  CHECK(complaint(batch, saved) == "");
  for (const std::size_t place : places) {
    CAPTURE(place);
    CHECK(complaint(batch, forged(saved, kStatesAt + place, value)) ==
          "state of environment 0 is impossible in " + std::string(batch.spec().name));
  }
  CHECK(batch.save_state() == saved);
}

}  // namespace ascore
