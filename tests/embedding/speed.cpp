// speed STEPS TURNS: steps Harvest through the template and through the C interface in turns;
// prints the median over the turns of the time through C divided by that through C++.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ascore/ascore.h"
#include "ascore/envs/harvest.hpp"
#include "ascore/envs/predation.hpp"
#include "ascore/vec_env.hpp"

namespace {

constexpr std::size_t kActions = 64;  // rows of actions that are played over and over

template <class Step>
double seconds(int steps, Step&& step) {
  const auto start = std::chrono::steady_clock::now();
  for (int t = 0; t < steps; ++t) step(static_cast<std::size_t>(t) % kActions);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class Env>
bool compare(const char* name, std::uint64_t num_envs, int steps, int turns) {
  ascore::VecEnv<Env> direct(num_envs, 0, 0, 1, {});
  direct.reset();
  ascore_env_config config = {};
  config.num_envs = num_envs;
  config.num_threads = 1;
  ascore_env* through = nullptr;
  ascore_env_buffers buffers;
  if (ascore_env_create(ASCORE_ABI_VERSION, name, &config, &through) != ASCORE_OK ||
      ascore_env_reset(through) != ASCORE_OK ||
      ascore_env_get_buffers(through, &buffers) != ASCORE_OK) {
    std::fprintf(stderr, "%s\n", ascore_last_error());
    return false;
  }
  const std::size_t count = num_envs * direct.num_agents();
  std::vector<std::int32_t> action(kActions * count);
  ascore::Rng rng(1, 2, 3, 4, ascore::Domain::kAction);
  for (std::int32_t& a : action) {
    a = static_cast<std::int32_t>(
        rng.below(static_cast<std::uint64_t>(direct.spec().num_actions())));
  }
  std::vector<double> ratios;
  double best_direct = 1e9, best_through = 1e9;
  for (int turn = 0; turn < turns; ++turn) {
    const double one =
        seconds(steps, [&](std::size_t row) { direct.step({action.data() + row * count, count}); });
    const double other = seconds(steps, [&](std::size_t row) {
      ascore_env_step(through, action.data() + row * count, count);
    });
    ratios.push_back(other / one);
    best_direct = std::min(best_direct, one);
    best_through = std::min(best_through, other);
  }
  std::ranges::sort(ratios);
  const bool same =
      std::memcmp(buffers.obs, direct.obs().data(), direct.obs().size_bytes()) == 0 &&
      std::memcmp(buffers.reward, direct.reward().data(), direct.reward().size_bytes()) == 0;
  std::printf("%s %llu %.4f %.1f %.1f\n", name, static_cast<unsigned long long>(num_envs),
              ratios[ratios.size() / 2], best_direct / steps * 1e9, best_through / steps * 1e9);
  return ascore_env_destroy(through) == ASCORE_OK && same;
}

}  // namespace

int main(int, char** argv) {
  const int steps = std::atoi(argv[1]), turns = std::atoi(argv[2]);
  bool good = true;
  good = compare<ascore::Harvest>("harvest-v1", 1, steps * 8, turns) && good;
  good = compare<ascore::Harvest>("harvest-v1", 64, steps, turns) && good;
  good = compare<ascore::Predation>("predation-v1", 64, steps, turns) && good;
  return good ? 0 : 1;
}
