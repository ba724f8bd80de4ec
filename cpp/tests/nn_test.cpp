#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/nn/acting.hpp"
#include "ascore/nn/engine.hpp"
#include "ascore/nn/subnormal.hpp"
#include "instruction_sets.hpp"

namespace {

using namespace ascore::nn;

std::size_t parameters(const Layers& layers) {
  std::size_t total = 0;
  for (int l = 0; l < layers.count; ++l) {
    total += static_cast<std::size_t>((layers.sizes[l] + 1) * layers.sizes[l + 1]);
  }
  return total;
}

/// A network by its definition, in double.
std::vector<double> naive(const Layers& layers, const float* flat, std::vector<double> x) {
  for (int l = 0; l < layers.count; ++l) {
    const int in = layers.sizes[l], out = layers.sizes[l + 1];
    std::vector<double> y(static_cast<std::size_t>(out));
    for (int j = 0; j < out; ++j) {
      double sum = static_cast<double>(flat[in * out + j]);
      for (int k = 0; k < in; ++k) {
        sum += x[static_cast<std::size_t>(k)] * static_cast<double>(flat[k * out + j]);
      }
      y[static_cast<std::size_t>(j)] = l + 1 < layers.count && sum < 0 ? 0 : sum;
    }
    flat += (in + 1) * out;
    x = std::move(y);
  }
  return x;
}

/// Everything an engine works on, N agents with one head each.
struct Agents {
  Layers actor, critic;
  Actors actors;
  std::vector<float> memory[8];
  std::vector<float> steps_a, steps_c;

  Agents(int n, int actions, std::vector<int> hidden, int obs) {
    const auto layers = [&](int last) {
      Layers made{.count = static_cast<int>(hidden.size()) + 1};
      made.sizes[0] = obs;
      for (std::size_t k = 0; k < hidden.size(); ++k) made.sizes[k + 1] = hidden[k];
      made.sizes[made.count] = last;
      return made;
    };
    actor = layers(actions);
    critic = layers(1);
    actors = {.agents = n, .trunks = 1, .heads = 1, .actions = actions};
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0F, 0.3F);
    for (int k = 0; k < 8; ++k) {
      const std::size_t size = parameters(k < 4 ? actor : critic) * static_cast<std::size_t>(n);
      memory[k].assign(size, 0.0F);
      if (k % 4 == 0) {
        for (float& x : memory[k]) x = normal(random);
      }
    }
    steps_a.assign(static_cast<std::size_t>(n), 0.0F);
    steps_c = steps_a;
  }

  Stack stack(bool is_actor) {
    const Layers& layers = is_actor ? actor : critic;
    std::vector<float>* from = memory + (is_actor ? 0 : 4);
    return {.layers = layers,
            .networks = actors.agents,
            .size = static_cast<std::ptrdiff_t>(parameters(layers)),
            .parameter = from[0].data(),
            .gradient = from[1].data(),
            .first = from[2].data(),
            .second = from[3].data(),
            .steps = (is_actor ? steps_a : steps_c).data(),
            .lr = 1e-3F};
  }
};

/// Observations of `rows` states, one in `every` entries is not 0.
std::vector<std::uint8_t> bytes(int rows, int size, int every) {
  std::mt19937 random(2);
  std::vector<std::uint8_t> out(static_cast<std::size_t>(rows * size));
  for (auto& x : out) {
    x = random() % static_cast<unsigned>(every) == 0 ? static_cast<std::uint8_t>(random() % 3) : 0;
  }
  return out;
}

TEST_CASE("subnormal numbers are zeros as long as somebody asks for it") {
  const volatile float small = 1e-30f, smaller = 1e-9f;
  CHECK(small * smaller > 0.0f);
#if defined(__SSE__) || defined(__aarch64__)
  {
    const FlushSubnormals here;
    const volatile float product = small * smaller;
    CHECK(__builtin_bit_cast(std::uint32_t, float{product}) == 0);
    const FlushSubnormals again;
  }
#endif
  CHECK(small * smaller > 0.0f);
}

TEST_CASE("values are those of the networks by their definition, on every instruction set") {
  for (const std::string& set : instruction_sets()) {
    for (const int rows : {1, 5, 96, 97, 800}) {
      for (const int every : {1, 40}) {  // dense, and nearly all zeros
        for (const int views : {1, 2}) {
          Agents agents(2, 3, {33, 7}, 45);
          Engine engine(agents.actors, agents.stack(true), agents.stack(false), 1, set);
          const auto obs = bytes(rows, views * 45, every);
          std::vector<float> out(static_cast<std::size_t>(2 * rows));
          engine.values({.bytes = obs.data(), .scale = 0.5F, .views = views, .size = 45}, rows, 0,
                        2, out.data());
          for (int i = 0; i < 2; ++i) {
            for (int r = 0; r < rows; ++r) {
              const int view = r * views + (views > 1 ? i : 0);
              std::vector<double> x;
              for (int k = 0; k < 45; ++k) {
                x.push_back(0.5 * obs[static_cast<std::size_t>(view * 45 + k)]);
              }
              const std::size_t size = parameters(agents.critic);
              const auto y = naive(agents.critic,
                                   agents.memory[4].data() + static_cast<std::size_t>(i) * size, x);
              CHECK(static_cast<double>(out[static_cast<std::size_t>(i * rows + r)]) ==
                    doctest::Approx(y[0]).epsilon(1e-4));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("the gradient of critics is that of differences") {
  for (const std::string& set : instruction_sets()) {
    for (const int every : {1, 40}) {
      constexpr int kRows = 103, kObs = 21;
      Agents agents(1, 2, {9, 6}, kObs);
      Engine engine(agents.actors, agents.stack(true), agents.stack(false), 1, set);
      const auto obs = bytes(kRows, kObs, every);
      std::vector<std::int32_t> action(kRows, 1);
      std::vector<float> zeros(kRows, 0.0F), target(kRows), scale(1, 1.0F);
      for (int r = 0; r < kRows; ++r) {
        target[static_cast<std::size_t>(r)] = std::sin(static_cast<float>(r));
      }
      const std::vector<float> before = agents.memory[4];
      const auto loss = [&](const std::vector<float>& flat) {
        double sum = 0;
        for (int r = 0; r < kRows; ++r) {
          std::vector<double> x;
          for (int k = 0; k < kObs; ++k) x.push_back(obs[static_cast<std::size_t>(r * kObs + k)]);
          const double error = naive(agents.critic, flat.data(), x)[0] -
                               static_cast<double>(target[static_cast<std::size_t>(r)]);
          sum += error * error / kRows;
        }
        return sum;
      };
      Samples samples{.obs = {.bytes = obs.data(), .size = kObs},
                      .rows = kRows,
                      .action = action.data(),
                      .advantage = zeros.data(),
                      .advantage_scale = scale.data(),
                      .target = target.data(),
                      .old = zeros.data()};
      Statistics statistics;
      CHECK(engine.minibatch(samples, {}, 0, 1, nullptr, kRows, &statistics).owner == -1);
      CHECK(statistics.value_loss == doctest::Approx(loss(before)).epsilon(1e-4));
      for (std::size_t k = 0; k < before.size(); k += 7) {
        std::vector<float> up = before, down = before;
        up[k] += 1e-3F;
        down[k] -= 1e-3F;
        const double step = static_cast<double>(up[k]) - static_cast<double>(down[k]);
        const double expected = (loss(up) - loss(down)) / step;
        CHECK(static_cast<double>(agents.memory[5][k]) ==
              doctest::Approx(expected).epsilon(2e-2).scale(0.05));
      }
    }
  }
}

/// Without peers, whose ratio is held within this.
const Objective kAlone{.peer_low = 1.0F, .peer_high = 1.0F};

TEST_CASE("layers of any width learn the same on every instruction set") {
  constexpr int kRows = 103, kObs = 5;  // rows that fill neither a block nor a tile
  const auto obs = bytes(kRows, kObs, 1);
  std::vector<std::int32_t> action(kRows, 0);
  std::vector<float> advantage(kRows), old(kRows, -0.7F), scale(1, 1.0F);
  for (int r = 0; r < kRows; ++r) {
    advantage[static_cast<std::size_t>(r)] = std::sin(static_cast<float>(r));
  }
  const Samples samples{.obs = {.bytes = obs.data(), .size = kObs},
                        .rows = kRows,
                        .action = action.data(),
                        .advantage = advantage.data(),
                        .advantage_scale = scale.data(),
                        .target = advantage.data(),
                        .old = old.data()};
  for (int width = 1; width <= 72; ++width) {
    std::vector<float> expected[2];
    for (const std::string& set : instruction_sets()) {
      Agents agents(1, 1 + width % 20, {width, 1 + width / 2}, kObs);
      Engine engine(agents.actors, agents.stack(true), agents.stack(false), 1, set);
      Statistics statistics;
      CHECK(engine.minibatch(samples, kAlone, 0, 1, nullptr, kRows, &statistics).owner == -1);
      for (int k = 0; k < 2; ++k) {
        const std::vector<float>& gradient = agents.memory[k == 0 ? 1 : 5];
        if (set == "portable") expected[k] = gradient;
        REQUIRE(gradient.size() == expected[k].size());
        for (std::size_t j = 0; j < gradient.size(); ++j) {
          CHECK(static_cast<double>(gradient[j]) ==
                doctest::Approx(static_cast<double>(expected[k][j])).epsilon(1e-4).scale(0.01));
        }
      }
    }
  }
}

/// Parameters after three steps: many rows share their products, large networks their Adam too.
std::vector<float> trained(std::size_t threads, int rows, const std::vector<int>& hidden) {
  constexpr int kObs = 12, kAgents = 3;
  const auto entries = static_cast<std::size_t>(rows * kAgents);
  Agents agents(kAgents, 4, hidden, kObs);
  Engine engine(agents.actors, agents.stack(true), agents.stack(false), threads, "");
  const auto obs = bytes(rows, kObs, 2);
  std::vector<std::int32_t> action(entries);
  std::vector<float> advantage(entries), old(entries, -1.4F), scale(3, 1.0F);
  for (std::size_t k = 0; k < action.size(); ++k) {
    action[k] = static_cast<std::int32_t>(k * 7 % 4);
    advantage[k] = std::cos(static_cast<float>(k));
  }
  Samples samples{.obs = {.bytes = obs.data(), .size = kObs},
                  .rows = rows,
                  .action = action.data(),
                  .advantage = advantage.data(),
                  .advantage_scale = scale.data(),
                  .target = advantage.data(),
                  .old = old.data()};
  std::vector<Statistics> statistics(kAgents);
  for (int k = 0; k < 3; ++k) {
    CHECK(engine.minibatch(samples, kAlone, 0, kAgents, nullptr, rows, statistics.data()).owner ==
          -1);
  }
  return agents.memory[0];
}

/// What three agents learn from where not all rows are everybody's: observations, actions and
/// targets of each, with numbers in the rows of those who are absent that would spoil any sum.
struct Visits {
  static constexpr int kRows = 900, kObs = 12, kAgents = 3;  // two chunks
  std::vector<std::uint8_t> obs = bytes(kRows, kObs, 2);
  std::vector<std::uint8_t>
      present;  ///< [S, N]: the first always, the second some, the third never
  std::vector<std::int32_t> action;
  std::vector<float> advantage, old, scale = std::vector<float>(kAgents, 1.0F);
  std::vector<std::int64_t> own;  ///< rows of the second

  Visits() {
    for (int r = 0; r < kRows; ++r) {
      const bool second = r % 3 != 1 && r < 850;
      present.insert(present.end(), {1, second, 0});
      if (second) own.push_back(r);
      for (int i = 0; i < kAgents; ++i) action.push_back((r + i) * 7 % 4);
    }
    for (int i = 0; i < kAgents; ++i) {
      for (int r = 0; r < kRows; ++r) {
        const bool there = present[static_cast<std::size_t>(r * kAgents + i)] != 0;
        advantage.push_back(there ? std::cos(static_cast<float>(i * kRows + r)) : NAN);
        old.push_back(there ? -1.4F : NAN);
      }
    }
  }

  Samples samples(bool all) const {
    return {.obs = {.bytes = obs.data(), .size = kObs},
            .rows = kRows,
            .action = action.data(),
            .advantage = advantage.data(),
            .advantage_scale = scale.data(),
            .target = advantage.data(),
            .old = old.data(),
            .present = all ? nullptr : present.data()};
  }
};

TEST_CASE("an agent learns from the rows in which it is present, and from nothing else") {
  const Visits visits;
  constexpr int kAgents = Visits::kAgents;
  std::vector<std::int64_t> third;  // a minibatch: every third row
  for (int r = 0; r < Visits::kRows; r += 3) third.push_back(r);
  for (const std::string& set : instruction_sets()) {
    for (const std::size_t threads : {1, 3}) {
      for (const bool whole : {true, false}) {
        const std::int64_t* index = whole ? nullptr : third.data();
        const std::int64_t count = whole ? Visits::kRows : std::ssize(third);
        std::vector<std::int64_t> own;
        for (const std::int64_t row : visits.own) {
          if (whole || row % 3 == 0) own.push_back(row);
        }
        Agents mixed(kAgents, 4, {20, 10}, Visits::kObs), alone = mixed;
        const Agents untouched = mixed;
        std::vector<Statistics> there(kAgents), apart(kAgents);
        Engine engine(mixed.actors, mixed.stack(true), mixed.stack(false), threads, set);
        Engine single(alone.actors, alone.stack(true), alone.stack(false), 1, set);
        for (int k = 0; k < 3; ++k) {
          CHECK(
              engine
                  .minibatch(visits.samples(false), kAlone, 0, kAgents, index, count, there.data())
                  .owner == -1);
          single.minibatch(visits.samples(true), kAlone, 0, 1, index, count, apart.data());
          single.minibatch(visits.samples(true), kAlone, 1, 2, own.data(), std::ssize(own),
                           apart.data());
        }
        for (int k = 0; k < 8; ++k) {
          if (k % 4 == 1) continue;  // gradients of who has no rows are nobody's
          CHECK(mixed.memory[k] == alone.memory[k]);
          if (k % 4 == 0) CHECK(mixed.memory[k] != untouched.memory[k]);
        }
        CHECK(mixed.steps_a == std::vector<float>{3, 3, 0});
        CHECK(mixed.steps_c == mixed.steps_a);
        for (std::size_t i = 0; i < 3; ++i) {
          CHECK(there[i].value_loss == apart[i].value_loss);
          CHECK(there[i].actor_norm == apart[i].actor_norm);
          CHECK((there[i].value_loss > 0) == (i < 2));
        }
      }
    }
  }
}

TEST_CASE("rows that lie with two processes are counted by who is present in them") {
  const Visits visits;
  constexpr int kAgents = Visits::kAgents;
  const std::int64_t totals[kAgents] = {Visits::kRows, std::ssize(visits.own), 0};
  std::vector<std::int64_t> half[2];
  for (int r = 0; r < Visits::kRows; ++r) half[r % 5 == 0].push_back(r);
  Agents one(kAgents, 4, {20, 10}, Visits::kObs), two = one;
  Engine whole(one.actors, one.stack(true), one.stack(false), 1, "");
  Engine parted(two.actors, two.stack(true), two.stack(false), 1, "");
  std::vector<Statistics> expected(kAgents), actual(kAgents);
  const Samples samples = visits.samples(false);
  whole.minibatch(samples, kAlone, 0, kAgents, nullptr, Visits::kRows, expected.data());
  std::vector<double> sums(static_cast<std::size_t>(kAgents * Engine::kColumns), 0.0);
  std::vector<float> actor(two.memory[1].size(), 0.0F), critic(two.memory[5].size(), 0.0F);
  for (const std::vector<std::int64_t>& rows : half) {
    std::vector<double> part(sums.size());
    parted.gradient(samples, kAlone, 0, kAgents, rows.data(), std::ssize(rows), totals,
                    part.data());
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += part[k];
    for (std::size_t k = 0; k < actor.size(); ++k) actor[k] += two.memory[1][k];
    for (std::size_t k = 0; k < critic.size(); ++k) critic[k] += two.memory[5][k];
  }
  two.memory[1] = actor;
  two.memory[5] = critic;
  CHECK(parted.finish(samples, kAlone, 0, kAgents, totals, sums.data(), actual.data()).owner == -1);
  CHECK(two.steps_a == std::vector<float>{1, 1, 0});
  for (std::size_t i = 0; i < 3; ++i) {  // the same sums in another order
    CHECK(actual[i].value_loss == doctest::Approx(expected[i].value_loss).epsilon(1e-6));
    CHECK(actual[i].actor_norm == doctest::Approx(expected[i].actor_norm).epsilon(1e-5));
    CHECK(actual[i].critic_norm == doctest::Approx(expected[i].critic_norm).epsilon(1e-5));
  }
}

TEST_CASE("threads change nothing") {
  for (const std::size_t threads : {2, 3}) {
    CHECK(trained(threads, 2000, {20, 10}) == trained(1, 2000, {20, 10}));
    CHECK(trained(threads, 40, {400, 300}) == trained(1, 40, {400, 300}));
  }
}

TEST_CASE("actions follow the probabilities") {
  Layers layers{.count = 1, .sizes = {1, 3}};
  Acting act(layers, 1, 1, "");
  const std::vector<float> flat{0, 0, 0, std::log(0.2F), std::log(0.3F), std::log(0.5F)};
  act.load(flat);
  const float one = 1.0F;
  for (const auto& [u, wanted] :
       {std::pair{0.0F, 0}, {0.19F, 0}, {0.21F, 1}, {0.49F, 1}, {0.51F, 2}, {0.999999F, 2}}) {
    std::int32_t action = -1;
    act(0, {.floats = &one, .size = 1}, 1, &u, &action);
    CHECK(action == wanted);
  }
}

TEST_CASE("an instruction set that is not there is named with those that are") {
  CHECK_THROWS_WITH_AS(choose_passes("mmx"), doctest::Contains("portable"), std::invalid_argument);
}

}  // namespace
