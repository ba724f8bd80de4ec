// A simulator with a loop of its own: it owns a batch of Harvest games, lets a policy trained in
// Python play in them, and keeps its own account of what happens.
//
//     simulator actor.safetensors EPISODES
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <vector>

#include "ascore/envs/harvest.hpp"
#include "ascore/parameters.hpp"
#include "ascore/policy.hpp"
#include "ascore/vec_env.hpp"

namespace {

struct Account {
  std::vector<double> eaten;  // per agent, over all episodes
  std::size_t episodes = 0;
};

Account play(const ascore::Policy& policy, std::size_t episodes) {
  // The world the policy was trained in: its parameters travel in the file.
  const auto params =
      ascore::parameters_from<ascore::HarvestParams>(policy.env(), policy.env_params());
  ascore::VecEnv<ascore::Harvest> world(16, /*seed=*/1, /*first_env=*/0, /*num_threads=*/1, params);
  policy.require(world.spec());

  const auto views = static_cast<std::size_t>(world.spec().views);
  const std::size_t agents = world.num_agents();
  std::vector<std::int32_t> action(world.num_envs() * agents);
  std::vector<float> uniform(action.size());
  Account account{std::vector<double>(agents), 0};
  world.reset();
  while (account.episodes < episodes) {
    world.uniforms(uniform);  // counter-based: the same games on every machine
    policy.act(world.obs(), views, uniform, action);
    world.step(action);
    for (std::size_t b = 0; b < world.num_envs(); ++b) {
      for (std::size_t i = 0; i < agents; ++i) {
        account.eaten[i] += static_cast<double>(world.reward()[b * agents + i]);
      }
      account.episodes += world.truncated()[b];
    }
  }
  return account;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: simulator actor.safetensors EPISODES\n";
    return 2;
  }
  const ascore::Policy policy = ascore::Policy::load(argv[1]);
  std::cout << "a policy of " << policy.num_agents() << " agents for " << policy.env() << '\n';
  const Account account = play(policy, static_cast<std::size_t>(std::atoll(argv[2])));
  for (std::size_t i = 0; i < account.eaten.size(); ++i) {
    std::cout << "agent " << i << " eats "
              << account.eaten[i] / static_cast<double>(account.episodes)
              << " apples per episode\n";
  }
} catch (const std::exception& error) {
  std::cerr << "simulator: " << error.what() << '\n';
  return 1;
}
