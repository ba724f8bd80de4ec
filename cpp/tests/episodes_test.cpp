/// Gradients of whole episodes, which a guarantee of privacy shortens one by one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ascore/nn/engine.hpp"
#include "instruction_sets.hpp"

namespace {

using namespace ascore::nn;

constexpr int kAgents = 2, kActions = 3, kObs = 11;
constexpr double kNoClip = std::numeric_limits<double>::infinity();

using Doubles = std::vector<double>;

double norm(const double* x, std::size_t size) {
  double sum = 0;
  for (std::size_t k = 0; k < size; ++k) sum += x[k] * x[k];
  return std::sqrt(sum);
}

/// What is released of a step, gradients of all agents one behind the other, and what is left.
struct Released {
  Doubles actor, critic, open = {};
  Doubles longer = Doubles(2 * kAgents, 0.0);  ///< episodes that were shortened
};

/// Two agents that anticipate each other, and the episodes that they learn from.
struct Batch {
  Layers actor{.count = 3, .sizes = {kObs, 9, 6, kAgents * kActions}};
  Layers critic{.count = 2, .sizes = {kObs, 8, 1}};
  Actors actors{.agents = kAgents, .trunks = 1, .heads = kAgents, .actions = kActions};
  std::vector<float> memory[8];
  std::vector<float> steps_a = std::vector<float>(kAgents), steps_c = steps_a;
  Episodes episodes;
  std::vector<float> obs, advantage, target, old, sent, scale = std::vector<float>(kAgents, 1.0F);
  std::vector<std::int32_t> action;
  std::vector<std::uint8_t> heard = {0, 1, 1, 0};

  Batch(std::int64_t count, std::int64_t length) : episodes{.count = count, .steps = length} {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0F, 0.4F);
    for (int k = 0; k < 8; ++k) {
      memory[k].resize(size(k < 4) * kAgents);
      if (k % 4 == 0) {
        for (float& x : memory[k]) x = normal(random);
      }
    }
    const auto rows = static_cast<std::size_t>(count * length);
    const auto fill = [&](std::vector<float>& to, std::size_t size, float factor) {
      for (std::size_t k = 0; k < size; ++k) to.push_back(factor * normal(random));
    };
    fill(obs, rows * kObs, 2.0F);
    fill(advantage, rows * kAgents, 5.0F);
    fill(target, rows * kAgents, 5.0F);
    for (std::size_t k = 0; k < rows * kAgents; ++k) {
      action.push_back(static_cast<std::int32_t>(random() % kActions));
    }
    for (std::size_t k = 0; k < rows * kAgents * kAgents; ++k) {
      float logits[kActions], sum = 0;
      for (float& x : logits) sum += std::exp(x = normal(random));
      for (const float x : logits) sent.push_back(x - std::log(sum));
      old.push_back(std::log(0.3F));
    }
  }

  /// Parameters of one agent.
  std::size_t size(bool is_actor) const {
    const Layers& layers = is_actor ? actor : critic;
    std::size_t total = 0;
    for (int l = 0; l < layers.count; ++l) {
      total += static_cast<std::size_t>((layers.sizes[l] + 1) * layers.sizes[l + 1]);
    }
    return total;
  }

  Samples samples() const {
    return {.obs = {.floats = obs.data(), .size = kObs},
            .rows = episodes.count * episodes.steps,
            .action = action.data(),
            .advantage = advantage.data(),
            .advantage_scale = scale.data(),
            .target = target.data(),
            .old = old.data(),
            .sent = sent.data(),
            .heard = heard.data()};
  }

  Stack stack(bool is_actor) {
    std::vector<float>* from = memory + (is_actor ? 0 : 4);
    return {.layers = is_actor ? actor : critic,
            .networks = kAgents,
            .size = static_cast<std::ptrdiff_t>(size(is_actor)),
            .parameter = from[0].data(),
            .gradient = from[1].data(),
            .first = from[2].data(),
            .second = from[3].data(),
            .steps = (is_actor ? steps_a : steps_c).data(),
            .lr = 1e-3F};
  }

  /// Penalties and the entropy have weights, or everything else alone counts.
  static Objective objective(bool all) {
    return {.kind = Objective::kAnticipation,
            .peer_low = 0.0F,
            .peer_high = 10.0F,
            .entropy_bonus = all ? 0.03F : 0.0F,
            .penalty_weight = all ? 2.0F : 0.0F,
            .gated = false};
  }

  Released released(const std::string& set, double clip, double critic_clip,
                    std::size_t threads = 1) {
    Engine engine(actors, stack(true), stack(false), threads, set);
    Released out{.actor = Doubles(size(true) * kAgents), .critic = Doubles(size(false) * kAgents)};
    Doubles sums(static_cast<std::size_t>(kAgents * Engine::kColumns));
    const double clips[2] = {clip, critic_clip};
    engine.episode_gradients(samples(), objective(true), 0, kAgents, episodes, clips,
                             out.actor.data(), out.critic.data(), out.longer.data(), sums.data());
    out.open.assign(memory[1].begin(), memory[1].end());
    return out;
  }

  /// The gradient of an episode's rows, a mean over them, by the pass that knows of no episodes.
  std::pair<Doubles, Doubles> plain(const std::string& set, std::int64_t episode, bool all) {
    Engine engine(actors, stack(true), stack(false), 1, set);
    std::vector<std::int64_t> rows;
    for (std::int64_t t = 0; t < episodes.steps; ++t) rows.push_back(t * episodes.count + episode);
    const std::int64_t totals[kAgents] = {episodes.steps, episodes.steps};
    Doubles sums(static_cast<std::size_t>(kAgents * Engine::kColumns));
    engine.gradient(samples(), objective(all), 0, kAgents, rows.data(), episodes.steps, totals,
                    sums.data());
    return {Doubles(memory[1].begin(), memory[1].end()),
            Doubles(memory[5].begin(), memory[5].end())};
  }

  /// Other advantages and targets for one episode of the first agent, all of one size.
  void replace(std::int64_t episode, float with) {
    for (std::int64_t t = 0; t < episodes.steps; ++t) {
      const auto row = static_cast<std::size_t>(t * episodes.count + episode);
      advantage[row] = target[row] = with;
    }
  }
};

/// Sums over episodes of gradients, each shortened to a norm if it is longer.
void add_clipped(Doubles& sum, Doubles& longer, const Doubles& gradient, double clip,
                 std::size_t place) {
  const std::size_t size = gradient.size() / kAgents;
  sum.resize(gradient.size());
  for (std::size_t i = 0; i < kAgents; ++i) {
    const double length = norm(gradient.data() + i * size, size);
    const double factor = length > clip ? clip / length : 1.0;
    longer[2 * i + place] += length > clip ? 1 : 0;
    for (std::size_t k = i * size; k < (i + 1) * size; ++k) sum[k] += factor * gradient[k];
  }
}

double distance(const Doubles& a, const Doubles& b, std::size_t from, std::size_t size) {
  Doubles difference(size);
  for (std::size_t k = 0; k < size; ++k) difference[k] = a[from + k] - b[from + k];
  return norm(difference.data(), size);
}

void check_near(const Doubles& actual, const Doubles& expected) {
  REQUIRE(actual.size() == expected.size());
  CHECK(distance(actual, expected, 0, actual.size()) <
        1e-4 * norm(expected.data(), expected.size()));
}

/// The furthest that sums of the first agent move as one episode's rewards become others, in norms
/// that are claimed; infinite where anything else moves.
double furthest(const std::string& set, std::int64_t count, std::int64_t length, double clip,
                double critic_clip, double claimed, double critic_claimed) {
  double far = 0;
  Batch batch(count, length);
  std::vector<Released> all{batch.released(set, clip, critic_clip)};
  for (const float with : {-1e4F, 1e4F, 0.0F}) {
    batch.replace(count / 2, with);
    all.push_back(batch.released(set, clip, critic_clip));
  }
  for (const Released& a : all) {
    for (const Released& b : all) {
      const std::size_t actor = batch.size(true), critic = batch.size(false);
      const bool others = distance(a.actor, b.actor, actor, actor) != 0 ||
                          distance(a.critic, b.critic, critic, critic) != 0;
      if (others || a.open != b.open) return kNoClip;
      far = std::max(far, distance(a.actor, b.actor, 0, actor) / claimed);
      far = std::max(far, distance(a.critic, b.critic, 0, critic) / critic_claimed);
    }
  }
  return far;
}

/// Episodes and their steps: several to a block, parts of one that is longer than a block, one
/// step.
constexpr std::pair<std::int64_t, std::int64_t> kShapes[] = {{41, 9}, {7, 150}, {19, 1}, {1, 97}};

TEST_CASE("unshortened, gradients of episodes add up to those of their rows by the plain pass") {
  for (const std::string& set : instruction_sets()) {
    for (const auto& [count, length] : kShapes) {
      Batch batch(count, length);
      const Released released = batch.released(set, kNoClip, kNoClip);
      Doubles actor(released.actor.size()), critic(released.critic.size()), both = actor;
      for (std::int64_t e = 0; e < count; ++e) {
        const auto [rewarded, errors] = batch.plain(set, e, false);
        const Doubles all = batch.plain(set, e, true).first;
        for (std::size_t k = 0; k < actor.size(); ++k) actor[k] += rewarded[k];
        for (std::size_t k = 0; k < actor.size(); ++k) both[k] += all[k];
        for (std::size_t k = 0; k < critic.size(); ++k) critic[k] += errors[k];
      }
      check_near(released.actor, actor);
      check_near(released.critic, critic);
      for (std::size_t k = 0; k < both.size(); ++k) both[k] -= actor[k];
      check_near(released.open, both);  // penalties and the entropy, which read no reward
      CHECK(released.longer == Doubles(2 * kAgents, 0.0));
    }
  }
}

TEST_CASE("each episode is shortened by itself, to its norm and not below") {
  for (const std::string& set : instruction_sets()) {
    for (const auto& [count, length] : kShapes) {
      for (const double clip : {0.05, 0.4}) {
        Batch batch(count, length);
        Doubles actor, critic, longer(2 * kAgents, 0.0);
        for (std::int64_t e = 0; e < count; ++e) {
          const auto [rewarded, errors] = batch.plain(set, e, false);
          add_clipped(actor, longer, rewarded, clip, 0);
          add_clipped(critic, longer, errors, 3 * clip, 1);
        }
        for (const std::size_t threads : {1, 3}) {
          const Released released = batch.released(set, clip, 3 * clip, threads);
          check_near(released.actor, actor);
          check_near(released.critic, critic);
          CHECK(released.longer == longer);
        }
      }
    }
  }
}

TEST_CASE("a sum over episodes is no longer than their norms together") {
  for (const std::string& set : instruction_sets()) {
    for (const auto& [count, length] : kShapes) {
      Batch batch(count, length);
      for (std::int64_t e = 0; e < count; ++e) batch.replace(e, 1e5F);
      const Released released = batch.released(set, 0.05, 0.2);
      const double episodes = static_cast<double>(count) * (1 + 1e-9);
      CHECK(released.longer[0] == count);
      CHECK(norm(released.actor.data(), batch.size(true)) <= 0.05 * episodes);
      CHECK(norm(released.critic.data(), batch.size(false)) <= 0.2 * episodes);
      if (count == 1) {  // the one that is longer has just its norm
        CHECK(norm(released.actor.data(), batch.size(true)) == doctest::Approx(0.05));
        CHECK(norm(released.critic.data(), batch.size(false)) == doctest::Approx(0.2));
      }
    }
  }
}

TEST_CASE("one episode moves sums by two norms at most, and a clip that is broken is noticed") {
  for (const std::string& set : instruction_sets()) {
    for (const auto& [count, length] : kShapes) {
      const double moved = furthest(set, count, length, 0.05, 0.2, 0.05, 0.2);
      CHECK(moved <= 2 * (1 + 1e-6));
      CHECK(moved > 1.9);
      CHECK(furthest(set, count, length, 0.1, 0.2, 0.05, 0.2) > 2.1);       // twice the norm
      CHECK(furthest(set, count, length, 0.05, kNoClip, 0.05, 0.2) > 2.1);  // critics go free
      CHECK(furthest(set, count, length, kNoClip, 0.2, 0.05, 0.2) > 2.1);   // so do actors
    }
  }
}

TEST_CASE("an episode that is not finite counts nothing, and is counted") {
  for (const std::string& set : instruction_sets()) {
    for (const float with : {NAN, INFINITY}) {
      Batch batch(7, 20);
      Doubles actor, critic, longer(2 * kAgents, 0.0);
      for (std::int64_t e = 0; e < 7; ++e) {
        const auto [rewarded, errors] = batch.plain(set, e, false);
        if (e != 2) add_clipped(actor, longer, rewarded, 0.05, 0);
        if (e != 2) add_clipped(critic, longer, errors, 0.2, 1);
      }
      batch.replace(2, with);
      const Released released = batch.released(set, 0.05, 0.2);
      CHECK(distance(released.actor, actor, 0, batch.size(true)) < 1e-5);
      CHECK(distance(released.critic, critic, 0, batch.size(false)) < 1e-5);
      CHECK(released.longer[0] == longer[0] + 1);
      CHECK(released.longer[1] == longer[1] + 1);
    }
  }
}

}  // namespace
