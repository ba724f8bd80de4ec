/// @file
/// RLtools' PPO on one agent's C. Navigation. Reads numbers of updates from standard input, one a
/// line; after each it writes the CPU seconds that they took and the mean return of the last batch.
///
/// `benches/peer_rltools.py` builds and runs this; it defines all names that begin with PEER_.

// RLtools' headers in its own order: what optimizers do to parameters, what BLAS computes (without
// that header, everything compiles and nothing is computed by BLAS), layers, models made of them.
// clang-format off
#include <rl_tools/operations/cpu_mux.h>
#include <rl_tools/nn/optimizers/adam/instance/operations_generic.h>
#include <rl_tools/nn/operations_cpu_mux.h>
#include <rl_tools/nn/layers/standardize/operations_generic.h>
#include <rl_tools/nn_models/mlp_unconditional_stddev/operations_generic.h>
#include <rl_tools/nn_models/sequential/operations_generic.h>
#include <rl_tools/nn/optimizers/adam/operations_generic.h>
#include <rl_tools/rl/algorithms/ppo/loop/core/config.h>
#include <rl_tools/rl/algorithms/ppo/loop/core/operations_generic.h>
// clang-format on

#include <ctime>
#include <iostream>

#include "game.hpp"

namespace {

namespace rlt = rl_tools;

using Device = rlt::devices::DEVICE_FACTORY<>;
using Policy = rlt::numeric_types::Policy<float>;
using TI = Device::index_t;
using Random = Device::SPEC::RANDOM::ENGINE<>;
using Environment = peer::Environment<TI>;

struct Rates : rlt::nn::optimizers::adam::DEFAULT_PARAMETERS_PYTORCH<Policy> {
  static constexpr float ALPHA = PEER_LEARNING_RATE;
};

struct Parameters
    : rlt::rl::algorithms::ppo::loop::core::DefaultParameters<Policy, TI, Environment> {
  static constexpr TI N_ENVIRONMENTS = PEER_ENVIRONMENTS;
  static constexpr TI ON_POLICY_RUNNER_STEPS_PER_ENV = Environment::EPISODE_STEP_LIMIT;
  static constexpr TI BATCH_SIZE =
      N_ENVIRONMENTS * ON_POLICY_RUNNER_STEPS_PER_ENV / PEER_MINIBATCHES;
  static constexpr TI ACTOR_HIDDEN_DIM = PEER_UNITS;
  static constexpr TI CRITIC_HIDDEN_DIM = PEER_UNITS;
  using ACTOR_OPTIMIZER_PARAMETERS = Rates;
  using CRITIC_OPTIMIZER_PARAMETERS = Rates;

  struct PPO_PARAMETERS : rlt::rl::algorithms::ppo::DefaultParameters<Policy, TI, BATCH_SIZE> {
    static constexpr TI N_EPOCHS = PEER_ITERATIONS;
    static constexpr float GAMMA = PEER_GAMMA;
    static constexpr float LAMBDA = PEER_LAMBDA;
    static constexpr float EPSILON_CLIP = PEER_CLIP;
    static constexpr float ACTION_ENTROPY_COEFFICIENT = 0;
    static constexpr float INITIAL_ACTION_STD = PEER_DEVIATION;
  };
};

using Config =
    rlt::rl::algorithms::ppo::loop::core::Config<Policy, TI, Random, Environment, Parameters>;
using Training = Config::State<Config>;

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// A batch is one whole episode of every environment.
double mean_return(Training& training) {
  auto& rewards = training.on_policy_runner_dataset.rewards;
  double sum = 0;
  for (TI row = 0; row < Config::ENVIRONMENT_STEPS_PER_LOOP_STEP; ++row)
    sum += get(rewards, row, 0);
  return sum / Parameters::N_ENVIRONMENTS;
}

}  // namespace

int main() {
  Device device;
  rlt::init(device);
  static Training training;
  rlt::malloc(device, training);
  rlt::init(device, training, PEER_SEED);
  for (int updates; std::cin >> updates;) {
    const double start = cpu_seconds();
    for (int i = 0; i < updates; ++i) rlt::step(device, training);
    const double seconds = cpu_seconds() - start;
    std::cout << seconds << ' ' << mean_return(training) << std::endl;
  }
}
