// The yardstick: a measuring stick, not an environment, about the least that one step of a
// Harvest-like grid can cost. Its time is the unit of `ascore bench`, so that figures of different
// machines compare.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "register.hpp"

namespace ascore::python {
namespace {

namespace py = pybind11;

/// xoshiro256+ of Blackman and Vigna 2018, four streams side by side so that a compiler can put
/// them into vectors.
class Xoshiro {
 public:
  explicit Xoshiro(std::uint64_t seed) {
    for (auto& word : state_) {
      for (std::uint64_t& lane : word) lane = split_mix(seed);
    }
  }

  /// Fills a block; its size is a multiple of kLanes.
  template <std::size_t kSize>
  void fill(std::array<std::uint64_t, kSize>& out) noexcept {
    static_assert(kSize % kLanes == 0);
    auto [a, b, c, d] = state_;
    for (std::size_t k = 0; k < kSize; k += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        out[k + i] = a[i] + d[i];
        const std::uint64_t shifted = b[i] << 17;
        c[i] ^= a[i];
        d[i] ^= b[i];
        b[i] ^= c[i];
        a[i] ^= d[i];
        c[i] ^= shifted;
        d[i] = (d[i] << 45) | (d[i] >> 19);
      }
    }
    state_ = {a, b, c, d};
  }

 private:
  static constexpr std::size_t kLanes = 4;

  static std::uint64_t split_mix(std::uint64_t& seed) noexcept {
    std::uint64_t z = seed += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  std::array<std::array<std::uint64_t, kLanes>, 4> state_{};
};

constexpr std::size_t kAgents = 5;
constexpr std::size_t kRows = 7;
constexpr std::size_t kCols = 38;
constexpr std::size_t kStride = 48;  // three vectors of sixteen bytes
constexpr std::size_t kCells = kRows * kStride;
constexpr std::size_t kView = kRows * kCols;
constexpr int kHorizon = 100;

constexpr std::array<std::string_view, kRows> kMap{
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", "@ P   P      A    P AAAAA    P  A P  @",
    "@  P     A P AA    P    AAA    A  A  @", "@     A AAA  AAA    A    A AA AAAA   @",
    "@ A  AAA A    A  A AAA  A  A   A A   @", "@AAA  A A    A  AAA A  AAA        A P@",
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@"};

enum Code : std::uint8_t { kFloor, kWall, kApple, kOther, kSelf };

using Plane = std::array<std::uint8_t, kCells>;

/// One game: five agents turn, walk in index order, eat what they reach; apples grow by how many
/// are around. Who comes first gets the cell: there is no rule for conflicts.
struct alignas(64) Game {
  Plane apples;
  Plane taken;
  std::array<std::uint16_t, kAgents> at;
  std::array<std::uint8_t, kAgents> facing;
  int time;
};

/// B games played with random actions, everything an environment writes written: observations of
/// every agent as one byte per cell, rewards.
class HarvestYardstick {
 public:
  HarvestYardstick(std::size_t num_envs, std::uint64_t seed)
      : games_(num_envs),
        obs_(num_envs * kAgents * kView),
        reward_(num_envs * kAgents),
        rng_(seed) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < kCols; ++c) {
        const std::size_t cell = r * kStride + c;
        walls_[cell] = kMap[r][c] == '@';
        orchard_[cell] = kMap[r][c] == 'A';
        if (kMap[r][c] == 'P') spawn_.push_back(static_cast<std::uint16_t>(cell));
      }
    }
    for (Game& game : games_) begin(game);
  }

  /// Plays `steps` steps of every game; returns a number that depends on all that was written.
  std::uint64_t run(std::size_t steps) noexcept {
    for (std::size_t t = 0; t < steps; ++t) {
      for (std::size_t b = 0; b < games_.size(); ++b) {
        step(games_[b], reward_.data() + b * kAgents, obs_.data() + b * kAgents * kView);
      }
    }
    std::uint64_t sum = static_cast<std::uint64_t>(eaten_);
    for (std::size_t b = 0; b < games_.size(); ++b) {
      const auto from = obs_.begin() + static_cast<std::ptrdiff_t>(b * kAgents * kView);
      sum = sum * 31 + std::accumulate(from, from + kAgents * kView, std::uint32_t{0});
    }
    return sum;
  }

  std::size_t num_envs() const noexcept { return games_.size(); }
  std::uint64_t eaten() const noexcept { return static_cast<std::uint64_t>(eaten_); }

 private:
  void begin(Game& game) noexcept {
    game.apples = orchard_;
    game.taken.fill(0);
    rng_.fill(bits_);
    auto spawn = spawn_;  // once in a hundred steps
    for (std::size_t i = 0; i < kAgents; ++i) {
      std::swap(spawn[i], spawn[i + bits_[i] % (spawn.size() - i)]);
      game.at[i] = spawn[i];
      game.taken[spawn[i]] = 1;
      game.facing[i] = static_cast<std::uint8_t>(bits_[i] >> 62);
    }
    game.time = 0;
  }

  void step(Game& game, float* reward, std::uint8_t* obs) noexcept {
    rng_.fill(bits_);
    walk(game, reward);
    grow(game);
    if (++game.time == kHorizon) begin(game);
    observe(game, obs);
  }

  void walk(Game& game, float* reward) noexcept {
    static constexpr std::array<int, 4> kStep{-static_cast<int>(kStride), 1,
                                              static_cast<int>(kStride), -1};
    for (std::size_t i = 0; i < kAgents; ++i) {
      const auto action = static_cast<unsigned>((bits_.back() >> (12 * i) & 0xFFF) * 7 >> 12);
      const int moves = action < 4 ? 1 : 0;  // then stay, and two turns
      const std::size_t from = game.at[i];
      const std::size_t aim =
          from + static_cast<std::size_t>(moves * kStep[(action + game.facing[i]) % kStep.size()]);
      const bool free = (walls_[aim] | game.taken[aim]) == 0;
      const std::size_t to = free ? aim : from;
      const unsigned turn = action == 5 ? 1 : action == 6 ? 3 : 0;
      game.facing[i] = static_cast<std::uint8_t>((game.facing[i] + turn) % 4);
      game.taken[from] = 0;
      game.taken[to] = 1;
      game.at[i] = static_cast<std::uint16_t>(to);
      const int apple = game.apples[to];
      game.apples[to] = 0;
      reward[i] = static_cast<float>(apple);
      eaten_ += apple;
    }
  }

  /// All of it in whole rows: apples around by sums of three, and sixteen random bits per cell.
  void grow(Game& game) noexcept {
    constexpr std::size_t kInner = (kRows - 2) * kStride;
    std::array<std::uint8_t, kCells> across;
    across.front() = across.back() = 0;  // walls
    for (std::size_t k = 1; k + 1 < kCells; ++k) {
      across[k] =
          static_cast<std::uint8_t>(game.apples[k - 1] + game.apples[k] + game.apples[k + 1]);
    }
    std::array<std::uint16_t, kInner> random;
    static_assert(sizeof(random) < sizeof(bits_));  // the last word is for the actions
    std::memcpy(random.data(), bits_.data(), sizeof(random));
    std::array<std::uint8_t, kInner> grown;
    for (std::size_t k = 0; k < kInner; ++k) {
      const std::size_t cell = k + kStride;
      const auto around =
          static_cast<std::uint8_t>(across[cell - kStride] + across[cell] + across[cell + kStride]);
      // 0.005, 0.02 and 0.05 in units of 2^-16. The cell itself counts, but only where an apple is
      // already.
      std::uint16_t limit = around > 0 ? 328 : 0;
      limit = around > 1 ? 1311 : limit;
      limit = around > 2 ? 3277 : limit;
      grown[k] = random[k] < limit;
    }
    for (std::size_t k = 0; k < kInner; ++k) {
      const std::size_t cell = k + kStride;
      const auto room = static_cast<std::uint8_t>(orchard_[cell] & ~game.taken[cell]);
      game.apples[cell] = static_cast<std::uint8_t>(game.apples[cell] | (grown[k] & room));
    }
  }

  void observe(const Game& game, std::uint8_t* obs) const noexcept {
    Plane codes;
    for (std::size_t k = 0; k < kCells; ++k) {
      codes[k] = static_cast<std::uint8_t>(walls_[k] * kWall + game.apples[k] * kApple +
                                           game.taken[k] * kOther);
    }
    std::array<std::uint8_t, kView> dense;
    for (std::size_t r = 0; r < kRows; ++r) {
      std::memcpy(dense.data() + r * kCols, codes.data() + r * kStride, kCols);
    }
    for (std::size_t i = 0; i < kAgents; ++i) {
      std::memcpy(obs + i * kView, dense.data(), kView);
      const std::size_t cell = game.at[i];
      obs[i * kView + cell / kStride * kCols + cell % kStride] = kSelf;
    }
  }

  std::vector<Game> games_;
  std::vector<std::uint8_t> obs_;
  std::vector<float> reward_;
  Plane walls_{}, orchard_{};
  std::vector<std::uint16_t> spawn_;
  Xoshiro rng_;
  std::array<std::uint64_t, 64> bits_{};
  std::int64_t eaten_ = 0;
};

}  // namespace

void register_yardstick(py::module_& module) {
  py::class_<HarvestYardstick> cls(
      module, "HarvestYardstick",
      "A measuring stick: a Harvest-like 7 x 38 grid of five agents with "
      "random actions, stepped as cheaply as is known.");
  cls.def(py::init([](py::ssize_t num_envs, std::uint64_t seed) {
            if (num_envs < 1) {
              throw py::value_error("num_envs = " + std::to_string(num_envs) + " is below 1");
            }
            return HarvestYardstick(static_cast<std::size_t>(num_envs), seed);
          }),
          py::arg("num_envs"), py::arg("seed"));
  cls.def("run", &HarvestYardstick::run, py::arg("steps"), py::call_guard<py::gil_scoped_release>(),
          "Play so many steps everywhere; returns a checksum of everything written.");
  cls.def_property_readonly("num_envs", &HarvestYardstick::num_envs);
  cls.def_property_readonly("eaten", &HarvestYardstick::eaten);
  cls.attr("num_agents") = kAgents;
}

}  // namespace ascore::python
