#include "ascore/gae.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/rng.hpp"

namespace ascore {
namespace {

using Floats = std::vector<float>;
using Flags = std::vector<std::uint8_t>;

struct Result {
  Floats advantage, returns;
};

struct Rollout {
  GaeShape shape;
  Floats reward, value;
  Flags terminated, truncated;
  Floats final_value = {};

  std::size_t total() const { return shape.steps * shape.envs * shape.agents; }

  Result gae(double gamma, double lambda) const {
    Result out{Floats(total(), -1), Floats(total(), -1)};
    ascore::gae(shape,
                {.reward = reward,
                 .value = value,
                 .terminated = terminated,
                 .truncated = truncated,
                 .final_value = final_value},
                gamma, lambda, out.advantage, out.returns);
    return out;
  }
};

Rollout random_rollout(GaeShape shape, std::uint64_t seed, double end_probability,
                       bool with_final) {
  Rng rng(seed, 0, 0, 0, Domain::kDynamics);
  const std::size_t width = shape.envs * shape.agents;
  Rollout r{shape, Floats(shape.steps * width), Floats((shape.steps + 1) * width),
            Flags(shape.steps * shape.envs), Flags(shape.steps * shape.envs)};
  const auto fill = [&rng](Floats& x) {
    for (float& v : x) v = 4 * rng.u01_single() - 2;
  };
  fill(r.reward);
  fill(r.value);
  for (std::uint8_t& flag : r.terminated) flag = rng.u01() < end_probability;
  for (std::uint8_t& flag : r.truncated) flag = rng.u01() < end_probability;
  if (with_final) {
    r.final_value.resize(shape.steps * width);
    fill(r.final_value);
  }
  return r;
}

/// One trajectory at a time, as the definition reads.
Result naive(const Rollout& r, double gamma, double lambda) {
  const auto [steps, envs, agents] = r.shape;
  Result out{Floats(r.total()), Floats(r.total())};
  const float discount = static_cast<float>(gamma);
  const float decay = static_cast<float>(gamma * lambda);
  for (std::size_t b = 0; b < envs; ++b) {
    for (std::size_t n = 0; n < agents; ++n) {
      float carry = 0;
      for (std::size_t t = steps; t-- > 0;) {
        const std::size_t at = (t * envs + b) * agents + n;
        float next = r.value[at + envs * agents];
        if (r.truncated[t * envs + b] != 0) {
          next = r.final_value.empty() ? 0 : r.final_value[at];
          carry = 0;
        }
        if (r.terminated[t * envs + b] != 0) {
          next = 0;
          carry = 0;
        }
        const float delta = (r.reward[at] + discount * next) - r.value[at];
        carry = delta + decay * carry;
        out.advantage[at] = carry;
        out.returns[at] = carry + r.value[at];
      }
    }
  }
  return out;
}

bool same_bits(const Floats& a, const Floats& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (std::bit_cast<std::uint32_t>(a[k]) != std::bit_cast<std::uint32_t>(b[k])) return false;
  }
  return true;
}

// One environment, one agent, three steps; gamma = lambda = 1/2, so every number is exact.
Rollout by_hand() { return {{3, 1, 1}, {1, 2, 3}, {4, 8, 16, 32}, {0, 0, 0}, {0, 0, 0}}; }

TEST_CASE("by hand: no episode ends") {
  // delta = 1 + 8/2 - 4, 2 + 16/2 - 8, 3 + 32/2 - 16 = 1, 2, 3; decay 1/4.
  const Result r = by_hand().gae(0.5, 0.5);
  CHECK(r.advantage == Floats{1 + (2 + 0.75F) / 4, 2.75F, 3});
  CHECK(r.returns == Floats{5.6875F, 10.75F, 19});
}

TEST_CASE("by hand: a termination closes with 0 and cuts the sum") {
  Rollout r = by_hand();
  r.terminated[1] = 1;
  r.final_value = {100, 100, 100};
  // delta_1 = 2 - 8 = -6; delta_0 = 1.
  CHECK(r.gae(0.5, 0.5).advantage == Floats{1 - 1.5F, -6, 3});
}

TEST_CASE("by hand: a truncation closes with the final value and cuts the sum") {
  Rollout r = by_hand();
  r.truncated[1] = 1;
  r.final_value = {100, 20, 100};
  // delta_1 = 2 + 20/2 - 8 = 4.
  CHECK(r.gae(0.5, 0.5).advantage == Floats{2, 4, 3});
  r.final_value.clear();  // none: 0
  CHECK(r.gae(0.5, 0.5).advantage == Floats{-0.5F, -6, 3});
}

TEST_CASE("by hand: termination wins over truncation") {
  Rollout r = by_hand();
  r.terminated[2] = r.truncated[2] = 1;
  r.final_value = {100, 100, 100};
  CHECK(r.gae(0.5, 0.5).advantage[2] == 3 - 16);
}

TEST_CASE("final values are read at truncations only") {
  Rollout r = random_rollout({9, 3, 2}, 1, 0.2, true);
  const Result before = r.gae(0.99, 0.95);
  for (std::size_t t = 0; t < 9; ++t) {
    for (std::size_t b = 0; b < 3; ++b) {
      if (r.truncated[t * 3 + b] != 0 && r.terminated[t * 3 + b] == 0) continue;
      for (std::size_t n = 0; n < 2; ++n) {
        r.final_value[(t * 3 + b) * 2 + n] = std::numeric_limits<float>::quiet_NaN();
      }
    }
  }
  const Result after = r.gae(0.99, 0.95);
  CHECK(same_bits(before.advantage, after.advantage));
  CHECK(same_bits(before.returns, after.returns));
}

TEST_CASE("bit for bit the loop over single trajectories") {
  std::uint64_t seed = 0;
  for (const GaeShape shape : {GaeShape{1, 1, 1},
                               {2, 1, 1},
                               {7, 1, 1},
                               {5, 3, 1},
                               {5, 1, 3},
                               {64, 5, 3},
                               {31, 16, 8},
                               {3, 33, 7}}) {
    for (const double ends : {0.0, 0.02, 0.3, 1.0}) {
      for (const bool with_final : {false, true}) {
        const Rollout r = random_rollout(shape, ++seed, ends, with_final);
        CAPTURE(shape.steps);
        CAPTURE(shape.envs);
        CAPTURE(shape.agents);
        CAPTURE(ends);
        const Result fast = r.gae(0.99, 0.98), slow = naive(r, 0.99, 0.98);
        CHECK(same_bits(fast.advantage, slow.advantage));
        CHECK(same_bits(fast.returns, slow.returns));
      }
    }
  }
}

TEST_CASE("the recursion is the discounted sum of the deltas") {
  const Rollout r = random_rollout({40, 1, 1}, 3, 0, false);
  const Result got = r.gae(0.99, 0.95);
  for (std::size_t t = 0; t < 40; ++t) {
    double sum = 0;
    for (std::size_t l = t; l < 40; ++l) {
      const double delta = double{r.reward[l]} + 0.99 * double{r.value[l + 1]} - double{r.value[l]};
      sum += std::pow(0.99 * 0.95, static_cast<double>(l - t)) * delta;
    }
    // 40 float additions of numbers below 10 round by less than 40 * 10 * 2^-24.
    CHECK(std::abs(double{got.advantage[t]} - sum) < 3e-5);
  }
}

TEST_CASE("limits: lambda 0 leaves the deltas, lambda 1 the returns to go, gamma 0 the rewards") {
  const Rollout r = by_hand();
  CHECK(r.gae(0.5, 0).advantage == Floats{1, 2, 3});
  // 3 + 32/2 = 19, 2 + 19/2 = 11.5, 1 + 11.5/2 = 6.75.
  CHECK(r.gae(0.5, 1).returns == Floats{6.75F, 11.5F, 19});
  CHECK(r.gae(0, 1).returns == Floats{1, 2, 3});
}

TEST_CASE("empty arrays are fine") {
  CHECK(Rollout{{0, 2, 2}, {}, {1, 2, 3, 4}, {}, {}}.gae(0.9, 0.9).advantage.empty());
  CHECK(Rollout{{3, 0, 2}, {}, {}, {}, {}}.gae(0.9, 0.9).advantage.empty());
  CHECK(Rollout{{3, 2, 0}, {}, {}, Flags(6), Flags(6)}.gae(0.9, 0.9).advantage.empty());
}

TEST_CASE("bad arguments are named") {
  const auto complaint = [](const Rollout& r, double gamma, double lambda) -> std::string {
    try {
      r.gae(gamma, lambda);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  CHECK(complaint(by_hand(), 0.5, 0.5) == "");
  CHECK(complaint(by_hand(), 1.5, 0.5) == "gamma = 1.5 is outside 0..1");
  CHECK(complaint(by_hand(), 0.5, -0.25) == "gae_lambda = -0.25 is outside 0..1");
  CHECK(complaint(by_hand(), std::nan(""), 0.5).starts_with("gamma = "));
  Rollout r = by_hand();
  r.value.pop_back();
  CHECK(complaint(r, 0.5, 0.5) == "value has 3 entries, want 4");
  r = by_hand();
  r.final_value = {1};
  CHECK(complaint(r, 0.5, 0.5) == "final_value has 1 entries, want 3");
  r = by_hand();
  r.truncated.push_back(0);
  CHECK(complaint(r, 0.5, 0.5) == "truncated has 4 entries, want 3");
}

}  // namespace
}  // namespace ascore
