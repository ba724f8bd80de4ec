// 100,000 calls of the C interface with whatever comes to hand: null, stale and forged handles,
// wrong sizes, wrong actions, damaged states and files. Every call must return a status it may
// return, and one that failed must have said why. Sanitizers watch.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ascore/ascore.h"
#include "ascore/rng.hpp"
#include "policy_file.hpp"

namespace ascore {
namespace {

constexpr int kCalls = 100'000;

class Fuzzer {
 public:
  Fuzzer() {
    const TensorFile good = policy_for("exchange-v1", 3, 12, 6, {4});
    files_.push_back(std::make_unique<PolicyFile>(good));
    files_.push_back(std::make_unique<PolicyFile>(policy_for("predation-v1", 8, 8, 2, {})));
    const std::vector<std::uint8_t> whole = to_bytes(good);
    for (int k = 0; k < 40; ++k) {  // bytes changed, and ends cut off
      std::vector<std::uint8_t> bytes = whole;
      for (std::uint64_t n = below(4); n > 0; --n) {
        bytes[below(k % 2 == 0 ? 400 : bytes.size())] = static_cast<std::uint8_t>(below(256));
      }
      if (k % 4 == 3) bytes.resize(below(bytes.size()));
      files_.push_back(std::make_unique<PolicyFile>(bytes));
    }
  }
  ~Fuzzer() {
    for (ascore_env* env : envs_) ascore_env_destroy(env);
    for (ascore_policy* policy : policies_) ascore_policy_destroy(policy);
  }

  void call() {
    const auto which = below(20);
    ascore_status status = ASCORE_OK;
    if (which < 2) {
      status = create();
    } else if (which == 2) {
      status = load();
    } else if (which < 17) {
      status = on_env(which);
    } else {
      status = on_policy();
    }
    ++counts[status];
    REQUIRE(status >= ASCORE_OK);
    REQUIRE(status <= ASCORE_UNREADABLE);  // never ASCORE_INTERNAL
    if (status != ASCORE_OK) REQUIRE(std::strlen(ascore_last_error()) > 8);
  }

  std::map<int, int> counts;

 private:
  std::uint64_t below(std::uint64_t n) { return rng_.below(n); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  template <class T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[below(from.size())];
  }

  /// Mostly alive; sometimes null, destroyed, of the other kind, or nonsense.
  template <class Handle>
  Handle* handle(const std::vector<Handle*>& from) {
    switch (below(16)) {
      case 0:
        return nullptr;
      case 1:
        return reinterpret_cast<Handle*>(rng_.next());
      case 2:
        return reinterpret_cast<Handle*>(below(1 << 22));
      case 3:
        return stale_.empty() ? nullptr : reinterpret_cast<Handle*>(stale_[below(stale_.size())]);
      default:
        return from.empty() ? nullptr : from[below(from.size())];
    }
  }

  ascore_status create() {
    const char* name = one_in(2)
                           ? ascore_env_name(below(ascore_env_count()))
                           : pick<const char*>({"exchange", "predation", "orchard", "", nullptr});
    std::vector<ascore_param> params;
    for (std::uint64_t n = below(3); n > 0; --n) {
      params.push_back({pick<const char*>({"num_agents", "horizon", "map", "cost", "opener", "none",
                                           "", nullptr}),
                        pick<const char*>({"2", "3", "-1", "1e9", "next", "true", "x", "",
                                           "@P @\n@ P@", nullptr})});
    }
    ascore_env_config config{};
    config.num_envs = pick<std::uint64_t>({1, 1, 2, 3, 5, 0, std::uint64_t{1} << 31, ~0ULL});
    config.seed = rng_.next();
    config.first_env = pick<std::uint64_t>({0, 1, ~0ULL});
    config.num_threads = pick<std::int32_t>({1, 1, 2, 0, -1, 2000});
    config.num_params = static_cast<std::uint32_t>(params.size());
    config.params = one_in(10) ? nullptr : params.data();
    ascore_env* env = reinterpret_cast<ascore_env*>(1);
    const auto abi = one_in(20) ? static_cast<std::uint32_t>(below(9)) : ASCORE_ABI_VERSION;
    const ascore_status status =
        ascore_env_create(abi, name, one_in(20) ? nullptr : &config, one_in(20) ? nullptr : &env);
    if (status == ASCORE_OK) {
      envs_.push_back(env);
      if (envs_.size() > 24) {
        stale_.push_back(reinterpret_cast<std::uintptr_t>(envs_.front()));
        REQUIRE(ascore_env_destroy(envs_.front()) == ASCORE_OK);
        envs_.erase(envs_.begin());
      }
    } else if (env != reinterpret_cast<ascore_env*>(1)) {
      REQUIRE(env == nullptr);
    }
    return status;
  }

  ascore_status load() {
    const char* path = one_in(10)  ? pick<const char*>({nullptr, "", "/", "/none"})
                       : one_in(2) ? files_[below(2)]->path().c_str()
                                   : files_[below(files_.size())]->path().c_str();
    ascore_policy* policy = nullptr;
    const auto abi = one_in(20) ? static_cast<std::uint32_t>(below(9)) : ASCORE_ABI_VERSION;
    const ascore_status status = ascore_policy_load(abi, path, one_in(20) ? nullptr : &policy);
    if (status == ASCORE_OK) {
      policies_.push_back(policy);
      if (policies_.size() > 8) {
        stale_.push_back(reinterpret_cast<std::uintptr_t>(policies_.front()));
        REQUIRE(ascore_policy_destroy(policies_.front()) == ASCORE_OK);
        policies_.erase(policies_.begin());
      }
    }
    return status;
  }

  /// What a caller would take the number of actions to be; 0 for a handle that is none.
  std::size_t actions_of(ascore_env* env) {
    ascore_env_spec spec{};
    if (ascore_env_get_spec(env, &spec) != ASCORE_OK) return 0;
    range_ = spec.num_actions;
    return spec.num_envs * static_cast<std::size_t>(spec.num_agents);
  }

  /// Memory of exactly as many entries as are claimed, so that a sanitizer sees one too many.
  template <class T>
  std::unique_ptr<T[]> memory(std::size_t count) {
    auto made = std::make_unique<T[]>(count);
    for (std::size_t k = 0; k < count; ++k) {
      made[k] = static_cast<T>(below(static_cast<std::uint64_t>(std::max(range_, 1))));
    }
    return made;
  }

  std::size_t claimed(std::size_t right) { return one_in(8) ? below(right + 3) : right; }

  ascore_status on_env(std::uint64_t which) {
    ascore_env* const env = handle(envs_);
    const std::size_t right = actions_of(env), count = claimed(right);
    switch (which) {
      case 3: {
        if (!one_in(6)) return ascore_env_reset(env);
        const ascore_status status = ascore_env_destroy(env);
        if (status == ASCORE_OK) {
          stale_.push_back(reinterpret_cast<std::uintptr_t>(env));
          std::erase(envs_, env);
        }
        return status;
      }
      case 4:
        return ascore_env_reset_seed(env, rng_.next());
      case 5: {
        ascore_env_spec spec{};
        return ascore_env_get_spec(env, one_in(4) ? nullptr : &spec);
      }
      case 6: {
        ascore_env_buffers at{};
        const ascore_status status = ascore_env_get_buffers(env, one_in(4) ? nullptr : &at);
        if (status == ASCORE_OK && at.obs != nullptr) {
          ascore_env_spec spec{};
          REQUIRE(ascore_env_get_spec(env, &spec) == ASCORE_OK);
          REQUIRE(at.time[spec.num_envs - 1] >= 0);
          REQUIRE(at.time[spec.num_envs - 1] < spec.horizon);
        }
        return status;
      }
      case 7: {
        const char* name = nullptr;
        return ascore_env_action_name(env, static_cast<std::int32_t>(below(12)) - 2,
                                      one_in(8) ? nullptr : &name);
      }
      case 8: {
        const auto out = memory<float>(count);
        return ascore_env_uniforms(env, one_in(10) ? nullptr : out.get(), count);
      }
      case 9: {
        std::size_t size = 0;
        if (ascore_env_save_state(env, nullptr, 0, &size) != ASCORE_OK) size = below(100);
        const std::size_t capacity = claimed(size);
        auto bytes = memory<std::uint8_t>(capacity);
        const ascore_status status =
            ascore_env_save_state(env, bytes.get(), capacity, one_in(10) ? nullptr : &size);
        if (status == ASCORE_OK) state_.assign(bytes.get(), bytes.get() + size);
        return status;
      }
      case 10: {
        std::vector<std::uint8_t> bytes = state_;
        if (!bytes.empty() && one_in(2)) {
          bytes[below(bytes.size())] = static_cast<std::uint8_t>(below(256));
        }
        if (!bytes.empty() && one_in(4)) bytes.resize(below(bytes.size()));
        bytes.shrink_to_fit();
        return ascore_env_load_state(env, bytes.data(), bytes.size());
      }
      default: {
        const auto action = memory<std::int32_t>(count);
        if (count > 0 && one_in(6)) {
          action[below(count)] = pick<std::int32_t>({-1, 100, INT32_MIN, INT32_MAX, range_});
        }
        return ascore_env_step(env, one_in(20) ? nullptr : action.get(), count);
      }
    }
  }

  ascore_status on_policy() {
    ascore_policy* const policy = handle(policies_);
    ascore_env* const env = handle(envs_);
    const std::size_t count = claimed(actions_of(env));
    ascore_policy_spec spec{};
    const bool alive = ascore_policy_get_spec(policy, &spec) == ASCORE_OK;
    switch (below(8)) {
      case 0: {
        const char* name = nullptr;
        return ascore_policy_env(policy, one_in(4) ? nullptr : &name);
      }
      case 1: {
        const ascore_param* params = nullptr;
        std::uint32_t size = 0;
        return ascore_policy_env_params(policy, one_in(4) ? nullptr : &params,
                                        one_in(4) ? nullptr : &size);
      }
      case 2: {
        if (!one_in(6)) return ascore_policy_get_spec(policy, one_in(4) ? nullptr : &spec);
        const ascore_status status = ascore_policy_destroy(policy);
        if (status == ASCORE_OK) {
          stale_.push_back(reinterpret_cast<std::uintptr_t>(policy));
          std::erase(policies_, policy);
        }
        return status;
      }
      case 3: {
        ascore_env_spec about{};
        const bool there = ascore_env_get_spec(env, &about) == ASCORE_OK;
        const std::size_t right =
            alive && there ? about.num_envs * static_cast<std::size_t>(spec.num_log_probs) : 4;
        const std::size_t entries = claimed(right);
        const auto out = memory<float>(entries);
        return ascore_policy_log_probs(policy, env, one_in(10) ? nullptr : out.get(), entries);
      }
      case 4: {
        const std::size_t rows = one_in(10) ? ~std::size_t{0} : below(4);
        const std::int32_t views = pick<std::int32_t>({1, 1, 1, spec.num_agents, 2, 0, -1, 4000});
        const std::size_t held = rows > 4 ? 1 : rows;
        // As large as a caller who believes in `views` would make it.
        const auto each = static_cast<std::size_t>(std::max(spec.obs_size, 1)) *
                          static_cast<std::size_t>(std::clamp(views, 1, 4000));
        const auto obs = memory<float>(held * each);
        const auto agents = static_cast<std::size_t>(std::max(spec.num_agents, 1));
        const auto uniform = memory<float>(held * agents);
        const auto action = memory<std::int32_t>(held * agents);
        return ascore_policy_act_on(
            policy, one_in(10) ? nullptr : obs.get(), static_cast<std::int32_t>(below(4)), rows,
            views, one_in(2) ? nullptr : uniform.get(), one_in(10) ? nullptr : action.get());
      }
      default: {
        const auto action = memory<std::int32_t>(count);
        return ascore_policy_act(policy, env, static_cast<std::int32_t>(below(2)),
                                 one_in(10) ? nullptr : action.get(), count);
      }
    }
  }

  Rng rng_{2024, 0, 0, 0, Domain::kAction};
  std::vector<ascore_env*> envs_;
  std::vector<ascore_policy*> policies_;
  std::vector<std::uintptr_t> stale_;
  std::vector<std::uint8_t> state_;
  std::vector<std::unique_ptr<PolicyFile>> files_;
  std::int32_t range_ = 1;
};

TEST_CASE("a hundred thousand calls with random arguments return a status and a message") {
  Fuzzer fuzzer;
  for (int k = 0; k < kCalls; ++k) fuzzer.call();
  for (const ascore_status seen : {ASCORE_OK, ASCORE_INVALID_ARGUMENT, ASCORE_ABI_MISMATCH,
                                   ASCORE_BAD_HANDLE, ASCORE_UNREADABLE}) {
    INFO("status " << seen);
    CHECK(fuzzer.counts[seen] > 200);
  }
  CHECK(fuzzer.counts[ASCORE_OK] > kCalls / 4);
  CHECK(fuzzer.counts[ASCORE_INTERNAL] == 0);
  CHECK(fuzzer.counts[ASCORE_BUSY] == 0);  // there is one thread
}

}  // namespace
}  // namespace ascore
