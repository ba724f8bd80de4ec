#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "ascore/ascore.h"
#include "ascore/envs/all.hpp"
#include "ascore/vec_env.hpp"
#include "policy_file.hpp"

namespace ascore {
namespace {

/// A batch for one test.
struct EnvHandle {
  explicit EnvHandle(const char* name, std::uint64_t num_envs = 2) {
    ascore_env_config config{};
    config.num_envs = num_envs;
    REQUIRE(ascore_env_create(ASCORE_ABI_VERSION, name, &config, &env) == ASCORE_OK);
    REQUIRE(ascore_env_get_spec(env, &spec) == ASCORE_OK);
    count = num_envs * static_cast<std::size_t>(spec.num_agents);
  }
  ~EnvHandle() { ascore_env_destroy(env); }
  EnvHandle(const EnvHandle&) = delete;
  EnvHandle& operator=(const EnvHandle&) = delete;

  ascore_env* env = nullptr;
  ascore_env_spec spec{};
  std::size_t count = 0;
};

bool says(const char* part) {
  const bool found = std::string(ascore_last_error()).find(part) != std::string::npos;
  if (!found) MESSAGE("\"" << ascore_last_error() << "\" lacks \"" << part << "\"");
  return found;
}

ascore_status create(const char* name, std::vector<ascore_param> params, ascore_env** env) {
  ascore_env_config config{};
  config.num_envs = 1;
  config.num_params = static_cast<std::uint32_t>(params.size());
  config.params = params.data();
  return ascore_env_create(ASCORE_ABI_VERSION, name, &config, env);
}

TEST_CASE("every environment is there by name") {
  REQUIRE(ascore_env_count() == std::tuple_size_v<Environments>);
  std::set<std::string> names;
  for (std::size_t k = 0; k < ascore_env_count(); ++k) {
    names.insert(ascore_env_name(k));
    const EnvHandle batch(ascore_env_name(k));
    CHECK(batch.spec.num_envs == 2);
    CHECK(batch.spec.num_agents >= 2);
    CHECK(batch.spec.horizon >= 1);
  }
  for_each_environment([&]<class Env>() { CHECK(names.contains(Env::kName)); });
  CHECK(names.size() == ascore_env_count());
  CHECK(ascore_env_name(names.size()) == nullptr);
  CHECK(EnvHandle("exchange").spec.num_actions == 6);
}

TEST_CASE("the C interface steps as the template does") {
  const EnvHandle batch("exchange-v1", 3);
  VecEnv<Exchange> direct(3, 0, 0, 1, {});
  direct.reset();
  REQUIRE(ascore_env_reset(batch.env) == ASCORE_OK);
  ascore_env_buffers at{};
  REQUIRE(ascore_env_get_buffers(batch.env, &at) == ASCORE_OK);
  std::vector<std::int32_t> action(batch.count);
  std::vector<float> ours(batch.count), theirs(batch.count);
  for (int t = 0; t < 400; ++t) {
    REQUIRE(ascore_env_uniforms(batch.env, ours.data(), ours.size()) == ASCORE_OK);
    direct.uniforms(theirs);
    REQUIRE(ours == theirs);
    for (std::size_t k = 0; k < action.size(); ++k) {
      action[k] = static_cast<std::int32_t>(ours[k] * 6.0F);
    }
    REQUIRE(ascore_env_step(batch.env, action.data(), action.size()) == ASCORE_OK);
    direct.step(action);
    const auto* obs = static_cast<const float*>(at.obs);
    REQUIRE(std::equal(direct.obs().begin(), direct.obs().end(), obs));
    REQUIRE(std::equal(direct.reward().begin(), direct.reward().end(), at.reward));
    REQUIRE(std::equal(direct.time().begin(), direct.time().end(), at.time));
  }
  CHECK(at.episode[0] == 1);
}

TEST_CASE("parameters are text") {
  ascore_env* env = nullptr;
  CHECK(create("exchange", {{"num_agents", "4"}, {"cost", "0.5"}, {"early_end", "true"}}, &env) ==
        ASCORE_OK);
  ascore_env_spec spec{};
  CHECK(ascore_env_get_spec(env, &spec) == ASCORE_OK);
  CHECK(spec.num_agents == 4);
  CHECK(ascore_env_destroy(env) == ASCORE_OK);

  CHECK(create("exchange", {{"agents", "4"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("exchange-v1 has no parameter \"agents\"; its parameters are num_agents, size"));
  CHECK(env == nullptr);
  CHECK(create("exchange", {{"num_agents", "4x"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("num_agents = \"4x\" is not a whole number in 2..1024"));
  CHECK(create("exchange", {{"num_agents", "9999"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("num_agents = 9999 is outside 2..1024"));
  CHECK(create("exchange", {{"cost", "1e999"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(create("exchange", {{"cost", " 1"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(create("exchange", {{"cost", "nan"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("cost = \"nan\" is not a number in"));
  CHECK(create("exchange", {{"early_end", "yes"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("early_end = \"yes\" is not one of false, true"));
  CHECK(create("exchange", {{"opener", "me"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("opener = \"me\" is not one of \"any\""));
  CHECK(create("exchange", {{nullptr, "4"}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("the name of a parameter is null"));
  CHECK(create("exchange", {{"cost", nullptr}}, &env) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("the value of a parameter is null"));
  CHECK(create("harvest", {{"map", "@@"}}, &env) == ASCORE_INVALID_ARGUMENT);
}

TEST_CASE("what cannot be made is refused by name") {
  ascore_env* env = nullptr;
  ascore_env_config config{};
  config.num_envs = 1;
  const auto make = [&](const char* name) {
    return ascore_env_create(ASCORE_ABI_VERSION, name, &config, &env);
  };
  CHECK(make("orchard") == ASCORE_INVALID_ARGUMENT);
  CHECK(says("unknown environment \"orchard\"; choose from: cleanup-v1, escape-v1"));
  CHECK(make(nullptr) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("name is null"));
  CHECK(ascore_env_create(ASCORE_ABI_VERSION, "exchange", nullptr, &env) ==
        ASCORE_INVALID_ARGUMENT);
  CHECK(says("config is null"));
  CHECK(ascore_env_create(ASCORE_ABI_VERSION, "exchange", &config, nullptr) ==
        ASCORE_INVALID_ARGUMENT);
  CHECK(says("env is null"));
  config.num_envs = 0;
  CHECK(make("exchange") == ASCORE_INVALID_ARGUMENT);
  CHECK(says("num_envs = 0 is below 1"));
  config.num_envs = std::numeric_limits<std::uint64_t>::max();
  CHECK(make("exchange") == ASCORE_INVALID_ARGUMENT);
  CHECK(says("num_envs = 18446744073709551615 is outside 1..2147483647"));
  config.num_envs = 2;
  config.num_threads = -1;
  CHECK(make("exchange") == ASCORE_INVALID_ARGUMENT);
  config.num_threads = 1025;
  CHECK(make("exchange") == ASCORE_INVALID_ARGUMENT);
  config.num_threads = 0;
  config.first_env = std::numeric_limits<std::uint64_t>::max();
  CHECK(make("exchange") == ASCORE_INVALID_ARGUMENT);
  config.first_env = 0;
  config.num_params = 1;
  CHECK(make("exchange") == ASCORE_INVALID_ARGUMENT);
  CHECK(says("params is null"));
}

TEST_CASE("a header of another version is refused") {
  ascore_env_config config{};
  config.num_envs = 1;
  ascore_env* env = nullptr;
  CHECK(ascore_abi_version() == ASCORE_ABI_VERSION);
  CHECK(ascore_env_create(ASCORE_ABI_VERSION + 1, "exchange", &config, &env) ==
        ASCORE_ABI_MISMATCH);
  CHECK(says("compiled with version 2 of ascore.h, this library (ascore "));
  CHECK(env == nullptr);
}

TEST_CASE("calls that do not fit a batch change nothing") {
  const EnvHandle batch("exchange");
  std::vector<std::int32_t> action(batch.count, 0);
  CHECK(ascore_env_step(batch.env, action.data(), action.size()) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("step before the first reset of exchange-v1"));
  REQUIRE(ascore_env_reset(batch.env) == ASCORE_OK);
  ascore_env_buffers at{};
  REQUIRE(ascore_env_get_buffers(batch.env, &at) == ASCORE_OK);

  CHECK(ascore_env_step(batch.env, nullptr, action.size()) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("action is null"));
  CHECK(ascore_env_step(batch.env, action.data(), 5) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("count = 5 entries of action, want 6"));
  for (const std::int32_t wrong : {6, -1, std::numeric_limits<std::int32_t>::min()}) {
    action[4] = wrong;
    CHECK(ascore_env_step(batch.env, action.data(), action.size()) == ASCORE_INVALID_ARGUMENT);
    CHECK(says("action[1, 1] = "));
  }
  CHECK(at.time[0] == 0);
  std::vector<float> out(5);
  CHECK(ascore_env_uniforms(batch.env, out.data(), out.size()) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_env_uniforms(batch.env, nullptr, 6) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_env_get_spec(batch.env, nullptr) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_env_get_buffers(batch.env, nullptr) == ASCORE_INVALID_ARGUMENT);
  const char* name = "";
  CHECK(ascore_env_action_name(batch.env, 6, &name) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("action = 6 is outside 0..5"));
  CHECK(name == nullptr);
  CHECK(ascore_env_action_name(batch.env, 0, nullptr) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_env_action_name(batch.env, 0, &name) == ASCORE_OK);
  CHECK(std::string(name) == "stay");
}

TEST_CASE("handles cannot go stale") {
  ascore_env_config config{};
  config.num_envs = 1;
  ascore_env* first = nullptr;
  REQUIRE(ascore_env_create(ASCORE_ABI_VERSION, "exchange", &config, &first) == ASCORE_OK);
  CHECK(ascore_env_reset(nullptr) == ASCORE_BAD_HANDLE);
  CHECK(says("the handle of the environment is null"));
  CHECK(ascore_policy_destroy(reinterpret_cast<ascore_policy*>(first)) == ASCORE_BAD_HANDLE);
  CHECK(says("belongs to something else"));
  CHECK(ascore_env_destroy(first) == ASCORE_OK);
  CHECK(ascore_env_destroy(first) == ASCORE_BAD_HANDLE);
  CHECK(says("was destroyed before"));
  CHECK(ascore_env_reset(first) == ASCORE_BAD_HANDLE);

  ascore_env* second = nullptr;  // in the place of the first
  REQUIRE(ascore_env_create(ASCORE_ABI_VERSION, "exchange", &config, &second) == ASCORE_OK);
  CHECK(second != first);
  CHECK(ascore_env_reset(first) == ASCORE_BAD_HANDLE);
  CHECK(ascore_env_reset(second) == ASCORE_OK);
  int local = 0;
  const auto number = reinterpret_cast<std::uintptr_t>(second);
  const std::uintptr_t later = number + (number - reinterpret_cast<std::uintptr_t>(first));
  for (void* forged :
       {static_cast<void*>(&local), reinterpret_cast<void*>(std::uintptr_t{1}),
        reinterpret_cast<void*>(number + 1), reinterpret_cast<void*>(number + 16),
        reinterpret_cast<void*>(later), reinterpret_cast<void*>(~std::uintptr_t{0})}) {
    CHECK(ascore_env_reset(static_cast<ascore_env*>(forged)) == ASCORE_BAD_HANDLE);
    CHECK(says("was never made by this library"));
  }
  CHECK(ascore_env_destroy(second) == ASCORE_OK);
}

TEST_CASE("many handles live side by side") {
  ascore_env_config config{};
  config.num_envs = 1;
  std::set<ascore_env*> envs;
  const auto make = [&](int count) {
    for (int k = 0; k < count; ++k) {
      ascore_env* env = nullptr;
      REQUIRE(ascore_env_create(ASCORE_ABI_VERSION, "predation", &config, &env) == ASCORE_OK);
      envs.insert(env);
    }
  };
  make(2500);
  CHECK(envs.size() == 2500);
  for (ascore_env* env : envs) REQUIRE(ascore_env_reset(env) == ASCORE_OK);
  std::set<ascore_env*> gone;
  for (ascore_env* env : envs) {
    if (gone.size() == 1000) break;
    REQUIRE(ascore_env_destroy(env) == ASCORE_OK);
    gone.insert(env);
  }
  for (ascore_env* env : gone) envs.erase(env);
  make(1500);  // in the places of the thousand, and beyond
  CHECK(envs.size() == 3000);
  for (ascore_env* env : gone) {
    REQUIRE(envs.count(env) == 0);
    REQUIRE(ascore_env_reset(env) == ASCORE_BAD_HANDLE);
  }
  for (ascore_env* env : envs) REQUIRE(ascore_env_destroy(env) == ASCORE_OK);
}

TEST_CASE("threads that meet in one handle are told, none waits, nothing is lost") {
  const EnvHandle batch("harvest", 64);
  REQUIRE(ascore_env_reset(batch.env) == ASCORE_OK);
  std::atomic<int> good{0}, busy{0}, other{0};
  const auto play = [&] {
    const std::vector<std::int32_t> action(batch.count, 0);
    for (int t = 0; t < 200; ++t) {
      const ascore_status status = ascore_env_step(batch.env, action.data(), action.size());
      ++(status == ASCORE_OK ? good : status == ASCORE_BUSY ? busy : other);
    }
  };
  std::vector<std::thread> threads;
  for (int k = 0; k < 3; ++k) threads.emplace_back(play);
  for (std::thread& thread : threads) thread.join();
  CHECK(other == 0);
  CHECK(good + busy == 600);
  ascore_env_buffers at{};
  REQUIRE(ascore_env_get_buffers(batch.env, &at) == ASCORE_OK);
  CHECK(at.episode[0] * 100 + static_cast<std::uint64_t>(at.time[0]) ==
        static_cast<std::uint64_t>(good.load()));
}

TEST_CASE("messages belong to their thread") {
  CHECK(ascore_env_reset(nullptr) == ASCORE_BAD_HANDLE);
  std::thread([] { CHECK(std::string(ascore_last_error()).empty()); }).join();
  CHECK(says("is null"));
  CHECK(std::string(ascore_status_text(ASCORE_BUSY)) == "in use");
  CHECK(std::string(ascore_status_text(ASCORE_INTERNAL)) == "internal error");
}

TEST_CASE("states are saved and loaded") {
  const EnvHandle batch("cleanup");
  REQUIRE(ascore_env_reset(batch.env) == ASCORE_OK);
  std::size_t size = 0;
  CHECK(ascore_env_save_state(batch.env, nullptr, 0, &size) == ASCORE_OK);
  REQUIRE(size > 0);
  std::vector<std::uint8_t> state(size);
  CHECK(ascore_env_save_state(batch.env, state.data(), size - 1, &size) == ASCORE_INVALID_ARGUMENT);
  CHECK(says(" bytes, want "));
  CHECK(ascore_env_save_state(batch.env, state.data(), size, nullptr) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_env_save_state(batch.env, state.data(), size, &size) == ASCORE_OK);
  CHECK(ascore_env_load_state(batch.env, state.data(), size) == ASCORE_OK);
  CHECK(ascore_env_load_state(batch.env, state.data(), size - 1) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_env_load_state(batch.env, nullptr, size) == ASCORE_INVALID_ARGUMENT);
  state.back() ^= 1;
  CHECK(ascore_env_load_state(batch.env, state.data(), size) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("state is damaged"));
}

TEST_CASE("policies act through the C interface as through the class") {
  const PolicyFile file(policy_for("exchange-v1", 3, 12, 6, {4}));
  ascore_policy* policy = nullptr;
  CHECK(ascore_policy_load(ASCORE_ABI_VERSION, file.path().c_str(), nullptr) ==
        ASCORE_INVALID_ARGUMENT);
  REQUIRE(ascore_policy_load(ASCORE_ABI_VERSION, file.path().c_str(), &policy) == ASCORE_OK);
  ascore_policy_spec about{};
  REQUIRE(ascore_policy_get_spec(policy, &about) == ASCORE_OK);
  CHECK(about.num_agents == 3);
  CHECK(about.num_actions == 6);
  CHECK(about.centralised == 0);
  CHECK(about.num_log_probs == 18);
  const char* name = nullptr;
  REQUIRE(ascore_policy_env(policy, &name) == ASCORE_OK);
  CHECK(std::string(name) == "exchange-v1");
  const ascore_param* params = nullptr;
  std::uint32_t num_params = 0;
  REQUIRE(ascore_policy_env_params(policy, &params, &num_params) == ASCORE_OK);
  REQUIRE(num_params == 1);
  CHECK(std::string(params[0].name) == "num_agents");
  CHECK(std::string(params[0].value) == "3");

  const EnvHandle batch("exchange");
  CHECK(about.obs_size == batch.spec.obs_size);
  std::vector<std::int32_t> action(batch.count), again(batch.count);
  std::vector<float> log_probs(2 * 18), uniform(batch.count);
  const auto act = [&](std::int32_t greedy) {
    return ascore_policy_act(policy, batch.env, greedy, action.data(), action.size());
  };
  CHECK(act(1) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("before the first reset"));
  REQUIRE(ascore_env_reset(batch.env) == ASCORE_OK);
  REQUIRE(ascore_policy_log_probs(policy, batch.env, log_probs.data(), 36) == ASCORE_OK);
  CHECK(ascore_policy_log_probs(policy, batch.env, log_probs.data(), 35) ==
        ASCORE_INVALID_ARGUMENT);
  ascore_env_buffers at{};
  REQUIRE(ascore_env_get_buffers(batch.env, &at) == ASCORE_OK);
  REQUIRE(ascore_env_uniforms(batch.env, uniform.data(), uniform.size()) == ASCORE_OK);
  for (const std::int32_t greedy : {0, 1}) {
    REQUIRE(act(greedy) == ASCORE_OK);
    REQUIRE(ascore_policy_act_on(policy, at.obs, ASCORE_F32, 2, batch.spec.views,
                                 greedy != 0 ? nullptr : uniform.data(),
                                 again.data()) == ASCORE_OK);
    CHECK(action == again);
    REQUIRE(ascore_env_step(batch.env, action.data(), action.size()) == ASCORE_OK);
    REQUIRE(ascore_env_uniforms(batch.env, uniform.data(), uniform.size()) == ASCORE_OK);
  }
  const auto on = [&](const void* obs, std::int32_t dtype, std::size_t rows, std::int32_t views) {
    return ascore_policy_act_on(policy, obs, dtype, rows, views, nullptr, action.data());
  };
  CHECK(on(nullptr, ASCORE_F32, 1, 1) == ASCORE_INVALID_ARGUMENT);
  CHECK(on(at.obs, 3, 1, 1) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("dtype = 3 is neither"));
  CHECK(on(at.obs, ASCORE_F32, 1, 2) == ASCORE_INVALID_ARGUMENT);
  CHECK(on(at.obs, ASCORE_F32, std::numeric_limits<std::size_t>::max(), 1) ==
        ASCORE_INVALID_ARGUMENT);
  std::vector<std::int32_t> counts(3);
  REQUIRE(ascore_policy_action_counts(policy, counts.data(), 3) == ASCORE_OK);
  CHECK(counts == std::vector<std::int32_t>{6, 6, 6});
  CHECK(ascore_policy_action_counts(policy, counts.data(), 2) == ASCORE_INVALID_ARGUMENT);
  std::vector<std::uint8_t> legal(2 * 18, 0);
  for (std::size_t k = 0; k < 6; ++k) legal[k * 6 + k % 4] = 1;
  const auto lawfully = [&](const std::uint8_t* mask) {
    return ascore_policy_act_legal(policy, at.obs, ASCORE_F32, 2, batch.spec.views, nullptr, mask,
                                   action.data());
  };
  REQUIRE(lawfully(legal.data()) == ASCORE_OK);
  CHECK(action == std::vector<std::int32_t>{0, 1, 2, 3, 0, 1});
  CHECK(lawfully(nullptr) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("legal is null"));
  legal[8] = 0;
  legal[7] = 0;
  CHECK(lawfully(legal.data()) == ASCORE_INVALID_ARGUMENT);
  CHECK(says("legal leaves agent 1 in row 0 no action"));
  const EnvHandle stranger("predation");
  REQUIRE(ascore_env_reset(stranger.env) == ASCORE_OK);
  std::vector<std::int32_t> many(stranger.count);
  CHECK(ascore_policy_act(policy, stranger.env, 1, many.data(), many.size()) ==
        ASCORE_INVALID_ARGUMENT);
  CHECK(says("the policy is for 3 agents"));
  CHECK(ascore_policy_destroy(policy) == ASCORE_OK);
  CHECK(act(1) == ASCORE_BAD_HANDLE);
  CHECK(says("the handle of the policy was destroyed before"));

  CHECK(ascore_policy_load(ASCORE_ABI_VERSION, "/nowhere/actor.safetensors", &policy) ==
        ASCORE_UNREADABLE);
  CHECK(says("cannot read /nowhere/actor.safetensors"));
  CHECK(ascore_policy_load(ASCORE_ABI_VERSION, nullptr, &policy) == ASCORE_INVALID_ARGUMENT);
  CHECK(ascore_policy_load(ASCORE_ABI_VERSION - 1, file.path().c_str(), &policy) ==
        ASCORE_ABI_MISMATCH);
  CHECK(policy == nullptr);
}

}  // namespace
}  // namespace ascore
