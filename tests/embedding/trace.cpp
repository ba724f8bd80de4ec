// Steps one environment by a fixed rule and prints every byte it writes: see trace.c.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "ascore/envs/all.hpp"
#include "ascore/vec_env.hpp"

namespace {

template <class T>
void put(std::span<const T> values) {
  std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

template <class Env>
void trace(int steps, int threads) {
  ascore::VecEnv<Env> env(5, 7, 3, threads, {});
  env.reset();
  const int actions = env.spec().num_actions();
  std::vector<std::int32_t> action(env.num_envs() * env.num_agents());
  std::vector<float> uniform(action.size());
  for (int t = 0; t < steps; ++t) {
    env.uniforms(uniform);
    for (std::size_t k = 0; k < action.size(); ++k) {
      action[k] = static_cast<std::int32_t>(uniform[k] * static_cast<float>(actions));
    }
    env.step(action);
    put(std::span<const std::int32_t>(action));
    put(env.obs());
    put(env.final_obs());
    put(env.reward());
    put(env.neighbours());
    put(env.terminated());
    put(env.truncated());
    put(env.episode());
    put(env.time());
  }
}

}  // namespace

int main(int, char** argv) {
  const std::string name = argv[1];
  const int steps = std::atoi(argv[2]), threads = std::atoi(argv[3]);
  ascore::for_each_environment([&]<class Env>() {
    if (name == Env::kName) trace<Env>(steps, threads);
  });
}
