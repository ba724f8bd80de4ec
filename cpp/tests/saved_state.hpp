/// The bytes of `VecEnv::save_state` for tests that change them: a header (size of the owner line,
/// checksum), the owner line, then the payload: seed, started, states, times, buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

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

}  // namespace ascore
