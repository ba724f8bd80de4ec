// The C interface: environments and policies behind handles, exceptions turned into statuses.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "ascore/ascore.h"
#include "ascore/cache_lines.hpp"
#include "ascore/envs/all.hpp"
#include "ascore/parameters.hpp"
#include "ascore/policy.hpp"
#include "ascore/vec_env.hpp"
#include "ascore/version.hpp"

namespace ascore {
namespace {

// ---- errors ----------------------------------------------------------------------------------

/// A fixed array: keeping a message must work when there is no memory.
thread_local std::array<char, 1024> last_error{};

ascore_status fail(ascore_status status, std::string_view message) noexcept {
  const std::size_t size = std::min(message.size(), last_error.size() - 1);
  std::copy_n(message.data(), size, last_error.data());
  last_error[size] = '\0';
  return status;
}

/// What has a status of its own.
struct Failure {
  ascore_status status;
  std::string message;
};

/// Runs `body`; whatever it throws becomes a status and a message.
template <class Body>
ascore_status guarded(Body&& body) noexcept {
  try {
    body();
    return ASCORE_OK;
  } catch (const Failure& failure) {
    return fail(failure.status, failure.message);
  } catch (const FileError& error) {
    return fail(ASCORE_UNREADABLE, error.what());
  } catch (const std::bad_alloc&) {
    return fail(ASCORE_OUT_OF_MEMORY, "out of memory; make num_envs smaller");
  } catch (const std::length_error&) {
    return fail(ASCORE_OUT_OF_MEMORY, "more than fits into memory; make num_envs smaller");
  } catch (const std::system_error& error) {
    return fail(ASCORE_OUT_OF_MEMORY, error.what());
  } catch (const std::logic_error& error) {  // std::invalid_argument, std::out_of_range
    return fail(ASCORE_INVALID_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return fail(ASCORE_INTERNAL, error.what());
  } catch (...) {
    return fail(ASCORE_INTERNAL, "an unknown exception");
  }
}

[[noreturn]] void refuse(std::string message) {
  throw Failure{ASCORE_INVALID_ARGUMENT, std::move(message)};
}

[[noreturn]] void refuse_null(const char* name) { refuse(std::string(name) + " is null"); }

template <class T>
inline T& required(T* pointer, const char* name) {
  if (pointer == nullptr) refuse_null(name);
  return *pointer;
}

void require_abi(std::uint32_t theirs) {
  if (theirs == ASCORE_ABI_VERSION) return;
  throw Failure{ASCORE_ABI_MISMATCH,
                "the program was compiled with version " + std::to_string(theirs) +
                    " of ascore.h, this library (ascore " + std::string(kVersion) +
                    ") has version " + std::to_string(ASCORE_ABI_VERSION) +
                    "; compile both from one version of ascore"};
}

// ---- what handles stand for -------------------------------------------------------------------

/// A VecEnv of any environment.
class AnyVecEnv {
 public:
  virtual ~AnyVecEnv() = default;
  virtual const Spec& spec() const = 0;
  virtual std::size_t num_envs() const = 0;
  virtual std::size_t num_threads() const = 0;
  virtual ascore_dtype dtype() const = 0;
  virtual ascore_env_buffers buffers() const = 0;
  virtual void reset() = 0;
  virtual void reset(std::uint64_t seed) = 0;
  virtual void step(std::span<const std::int32_t> action) = 0;
  virtual void uniforms(std::span<float> out) const = 0;
  virtual std::vector<std::uint8_t> save_state() const = 0;
  virtual void load_state(std::span<const std::uint8_t> state) = 0;
  virtual void act(const Policy& policy, bool greedy, std::span<std::int32_t> action) const = 0;
  virtual void log_probs(const Policy& policy, std::span<float> out) const = 0;

  /// Names that end in a null character, which a view need not.
  std::vector<std::string> action_names;
  std::size_t num_actors = 0;  ///< B * N, not asked for anew in every step
};

template <class Env>
class VecEnvOf final : public AnyVecEnv {
 public:
  VecEnvOf(std::size_t num_envs, std::uint64_t seed, std::uint64_t first_env, int num_threads,
           const typename Env::Params& params)
      : core_(num_envs, seed, first_env, num_threads, params) {
    action_names.assign(spec().action_names.begin(), spec().action_names.end());
    num_actors = num_envs * core_.num_agents();
  }

  const Spec& spec() const override { return core_.spec(); }
  std::size_t num_envs() const override { return core_.num_envs(); }
  std::size_t num_threads() const override { return core_.num_threads(); }
  ascore_dtype dtype() const override {
    return std::is_same_v<typename Env::Obs, float> ? ASCORE_F32 : ASCORE_U8;
  }
  ascore_env_buffers buffers() const override {
    return {core_.obs().data(),        core_.final_obs().data(),  core_.reward().data(),
            core_.neighbours().data(), core_.terminated().data(), core_.truncated().data(),
            core_.episode().data(),    core_.time().data()};
  }
  void reset() override { core_.reset(); }
  void reset(std::uint64_t seed) override { core_.reset(seed); }
  void step(std::span<const std::int32_t> action) override { core_.step(action); }
  void uniforms(std::span<float> out) const override { core_.uniforms(out); }
  std::vector<std::uint8_t> save_state() const override { return core_.save_state(); }
  void load_state(std::span<const std::uint8_t> state) override { core_.load_state(state); }
  void act(const Policy& policy, bool greedy, std::span<std::int32_t> action) const override {
    std::vector<float> uniform;
    if (!greedy) {
      uniform.resize(num_envs() * core_.num_agents());
      core_.uniforms(uniform);
    }
    require(policy);
    policy.act(core_.obs(), static_cast<std::size_t>(spec().views), std::span<const float>(uniform),
               action);
  }
  void log_probs(const Policy& policy, std::span<float> out) const override {
    require(policy);
    policy.log_probs(core_.obs(), static_cast<std::size_t>(spec().views), out);
  }

 private:
  void require(const Policy& policy) const {
    policy.require(spec());
    if (!core_.started())
      refuse("there is no state before the first reset; call ascore_env_reset first");
  }

  VecEnv<Env> core_;
};

/// A policy and what C sees of it.
struct LoadedPolicy {
  explicit LoadedPolicy(Policy loaded) : policy(std::move(loaded)) {
    for (const auto& [name, value] : policy.env_params()) {
      params.push_back({name.c_str(), value.c_str()});
    }
  }

  Policy policy;
  std::vector<ascore_param> params;
};

/// One of the two, or nothing.
struct Thing {
  std::unique_ptr<AnyVecEnv> vec_env;
  std::unique_ptr<LoadedPolicy> policy;

  /// Null if it is of another kind.
  template <class T>
  T* get() const noexcept {
    if constexpr (std::is_same_v<T, AnyVecEnv>) {
      return vec_env.get();
    } else {
      return policy.get();
    }
  }
};

// ---- handles ---------------------------------------------------------------------------------

/// A lock that is there before any constructor runs, which MinGW's std::mutex is not.
class Lock {
 public:
  void lock() noexcept {
    while (taken_.test_and_set(std::memory_order_acquire)) taken_.wait(true);
  }
  void unlock() noexcept {
    taken_.clear(std::memory_order_release);
    taken_.notify_one();
  }

 private:
  std::atomic_flag taken_;
};

/// A handle is a place number plus a generation counter, so that nothing is ever read through a
/// stale one. With a single small environment, any work between a handle and its object would show
/// in the time of a step. So using a handle takes no lock, and its low bits, unchanged, are the
/// offset of its place in the table.
class Table {
  /// `word` is the generation above two flags: somebody owns the thing, and there is a thing.
  /// A cache line each: threads that use neighbours do not meet.
  struct alignas(kCacheLine) Place {
    static constexpr std::uint64_t kBusy = 1, kAlive = 2, kGeneration = 4;

    std::atomic<std::uint64_t> word{0};
    Thing thing;
    std::uintptr_t next_free = 0;  ///< place, while there is no thing; 0 ends the list
  };

 public:
  /// A thing in use. It is given back when this ends.
  template <class T>
  class Use {
   public:
    Use(Place& place, std::uint64_t idle)
        : place_(place), idle_(idle), thing_(place.thing.get<T>()) {}
    ~Use() { place_.word.store(idle_, std::memory_order_release); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    T* operator->() const noexcept { return thing_; }
    T& operator*() const noexcept { return *thing_; }

   private:
    Place& place_;
    std::uint64_t idle_;
    T* thing_;
  };

  /// Keeps a thing; returns its handle.
  std::uintptr_t put(Thing thing) {
    const std::scoped_lock lock(lock_);
    if (free_ == 0) free_ = make_place();
    const std::uintptr_t where = free_;
    Place& place = at(where);
    free_ = place.next_free;
    place.thing = std::move(thing);
    const std::uint64_t generation =
        place.word.load(std::memory_order_relaxed) / Place::kGeneration + 1;
    const std::uintptr_t handle = generation << kBits | where;
    place.word.store(idle_word(handle), std::memory_order_release);
    return handle;
  }

  template <class T>
  Use<T> use(std::uintptr_t handle) {
    return {take<T>(handle), idle_word(handle)};
  }

  template <class T>
  void destroy(std::uintptr_t handle) {
    Place& place = take<T>(handle);
    place.thing = {};
    place.word.store(idle_word(handle) - Place::kAlive, std::memory_order_release);
    const std::scoped_lock lock(lock_);
    place.next_free = free_;
    free_ = handle & kMask;
  }

 private:
  static_assert(sizeof(std::uintptr_t) == 8 && sizeof(Place) == kCacheLine);
  static constexpr unsigned kBits = 23;  // bytes of the table; what is never used takes no memory
  static constexpr std::uintptr_t kSize = std::uintptr_t{1} << kBits, kMask = kSize - 1;

  static std::uint64_t idle_word(std::uintptr_t handle) noexcept {
    return (handle >> kBits) * Place::kGeneration + Place::kAlive;
  }

  Place& at(std::uintptr_t where) noexcept {
    return *std::launder(reinterpret_cast<Place*>(storage_.data() + where));
  }

  /// One more place, which is not the first: null is no handle. Needs the lock.
  std::uintptr_t make_place() {
    const std::uintptr_t where = used_.load(std::memory_order_relaxed) + sizeof(Place);
    if (where == kSize) refuse("too many handles are alive; destroy some");
    new (storage_.data() + where) Place;
    used_.store(where, std::memory_order_release);
    return where;
  }

  /// The place of a handle, from now on busy. Throws Failure. Inlined: a call would be seen.
  template <class T>
  [[gnu::always_inline]] Place& take(std::uintptr_t handle) {
    const std::uintptr_t where = handle & kMask;
    // 0 less 1 is beyond every place: null.
    if (where % sizeof(Place) != 0 || where - 1 >= used_.load(std::memory_order_acquire)) {
      complain_unknown<T>(handle);
    }
    Place& place = at(where);
    std::uint64_t word = idle_word(handle);
    if (!place.word.compare_exchange_strong(word, word | Place::kBusy, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
      complain_taken<T>(handle, word);
    }
    if (place.thing.get<T>() == nullptr) {
      place.word.store(idle_word(handle), std::memory_order_release);
      complain<T>("belongs to something else");
    }
    return place;
  }

  template <class T>
  [[noreturn]] static void complain_taken(std::uintptr_t handle, std::uint64_t word) {
    const std::uint64_t theirs = handle >> kBits, ours = word / Place::kGeneration;
    if (theirs == ours && (word & Place::kAlive) != 0) {
      throw Failure{ASCORE_BUSY, std::string("another thread is using this ") + kind<T>()};
    }
    if (theirs > 0 && theirs <= ours) complain<T>("was destroyed before");
    complain_unknown<T>(handle);
  }

  template <class T>
  [[noreturn]] static void complain_unknown(std::uintptr_t handle) {
    complain<T>(handle == 0 ? "is null" : "was never made by this library");
  }

  template <class T>
  static const char* kind() noexcept {
    return std::is_same_v<T, AnyVecEnv> ? "environment" : "policy";
  }

  template <class T>
  [[noreturn]] static void complain(const char* why) {
    throw Failure{ASCORE_BAD_HANDLE, std::string("the handle of the ") + kind<T>() + " " + why};
  }

  Lock lock_;
  std::uintptr_t free_ = 0;
  std::atomic<std::uintptr_t> used_{0};  // the last place there is
  alignas(Place) std::array<std::byte, kSize> storage_{};
};

/// Never destroyed: others may outlive it at exit.
union Forever {
  constexpr Forever() : table() {}
  ~Forever() {}

  Table table;
};
constinit Forever forever;

Table& table() { return forever.table; }

auto use(ascore_env* env) { return table().use<AnyVecEnv>(reinterpret_cast<std::uintptr_t>(env)); }

auto use(ascore_policy* policy) {
  return table().use<LoadedPolicy>(reinterpret_cast<std::uintptr_t>(policy));
}

// ---- environments ----------------------------------------------------------------------------

struct Kind {
  const char* name;
  std::unique_ptr<AnyVecEnv> (*make)(const ascore_env_config& config);
};

template <class Env>
std::unique_ptr<AnyVecEnv> make_vec_env(const ascore_env_config& config) {
  typename Env::Params params;
  for (std::uint32_t k = 0; k < config.num_params; ++k) {
    const auto& [key, value] = config.params[k];
    set_parameter(params, Env::kName, &required(key, "the name of a parameter"),
                  &required(value, "the value of a parameter"));
  }
  return std::make_unique<VecEnvOf<Env>>(config.num_envs, config.seed, config.first_env,
                                         config.num_threads, params);
}

template <class... Env>
constexpr auto kinds_of(std::type_identity<std::tuple<Env...>>) {
  return std::array{Kind{Env::kName, &make_vec_env<Env>}...};
}

constexpr auto kKinds = kinds_of(std::type_identity<Environments>{});

/// With or without the version.
const Kind& kind_of(std::string_view name) {
  std::string known;
  for (const Kind& kind : kKinds) {
    const std::string_view full = kind.name;
    if (name == full || name == full.substr(0, full.rfind("-v"))) return kind;
    known += (known.empty() ? "" : ", ") + std::string(full);
  }
  refuse("unknown environment " + to_text(std::string(name)) + "; choose from: " + known);
}

constexpr std::uint64_t kMaxEnvs = (std::uint64_t{1} << 31) - 1;
constexpr std::int32_t kMaxThreads = 1024;

[[noreturn]] void refuse_count(const char* name, std::size_t got, std::size_t wanted) {
  refuse("count = " + std::to_string(got) + " entries of " + name + ", want " +
         std::to_string(wanted));
}

/// The entries of an array that the caller says are there.
template <class T>
inline std::span<T> entries(T* array, const char* name, std::size_t got, std::size_t wanted) {
  required(array, name);
  if (got != wanted) refuse_count(name, got, wanted);
  return {array, wanted};
}

/// Actions for observations of the caller's own; `legal` may be null: all actions are.
void act_on(ascore_policy* policy, const void* obs, int32_t dtype, size_t rows, int32_t views,
            const float* uniform, const uint8_t* legal, int32_t* action) {
  const auto loaded = use(policy);
  const ascore::Policy& p = loaded->policy;
  required(static_cast<const char*>(obs), "obs");
  required(action, "action");
  if (views < 1 || static_cast<std::size_t>(views) > ascore::Policy::kMostAgents) {
    refuse("views = " + std::to_string(views) + " is outside 1.." +
           std::to_string(ascore::Policy::kMostAgents));
  }
  const std::size_t each = p.obs_size() * (p.centralised() ? 1 : static_cast<std::size_t>(views));
  const std::size_t actions = p.num_agents() * p.num_actions();
  if (rows > std::numeric_limits<std::size_t>::max() / sizeof(float) / std::max(each, actions)) {
    refuse("rows = " + std::to_string(rows) + " is more than fits into memory");
  }
  const std::span<int32_t> to{action, rows * p.num_agents()};
  std::span<const float> numbers;
  if (uniform != nullptr) numbers = {uniform, to.size()};
  std::span<const std::uint8_t> mask;
  if (legal != nullptr) mask = {legal, rows * actions};
  const auto act = [&](auto zero) {
    using Obs = decltype(zero);
    p.act(std::span(static_cast<const Obs*>(obs), rows * each), static_cast<std::size_t>(views),
          numbers, to, mask);
  };
  if (dtype == ASCORE_U8) {
    act(std::uint8_t{});
  } else if (dtype == ASCORE_F32) {
    act(float{});
  } else {
    refuse("dtype = " + std::to_string(dtype) + " is neither ASCORE_U8 nor ASCORE_F32");
  }
}

}  // namespace
}  // namespace ascore

using ascore::act_on;
using ascore::entries;
using ascore::guarded;
using ascore::refuse;
using ascore::require_abi;
using ascore::required;
using ascore::use;

extern "C" {

uint32_t ascore_abi_version(void) { return ASCORE_ABI_VERSION; }

const char* ascore_version(void) { return ascore::kVersion; }

const char* ascore_last_error(void) { return ascore::last_error.data(); }

const char* ascore_status_text(int32_t status) {
  static constexpr std::array kTexts{"no error",        "invalid argument", "ABI mismatch",
                                     "bad handle",      "in use",           "out of memory",
                                     "unreadable file", "internal error"};
  const auto index = static_cast<std::size_t>(static_cast<unsigned>(status));
  return index < kTexts.size() ? kTexts[index] : "unknown status";
}

size_t ascore_env_count(void) { return ascore::kKinds.size(); }

const char* ascore_env_name(size_t index) {
  return index < ascore::kKinds.size() ? ascore::kKinds[index].name : nullptr;
}

ascore_status ascore_env_create(uint32_t abi_version, const char* name,
                                const ascore_env_config* config, ascore_env** env) {
  return guarded([&] {
    required(env, "env") = nullptr;
    require_abi(abi_version);
    required(name, "name");
    required(config, "config");
    const ascore::Kind& kind = ascore::kind_of(name);
    if (config->num_envs > ascore::kMaxEnvs) {
      refuse("num_envs = " + std::to_string(config->num_envs) + " is outside 1.." +
             std::to_string(ascore::kMaxEnvs));
    }
    if (config->num_threads > ascore::kMaxThreads) {
      refuse("num_threads = " + std::to_string(config->num_threads) + " is outside 0.." +
             std::to_string(ascore::kMaxThreads));
    }
    if (config->num_params > 0) required(config->params, "params");
    *env = reinterpret_cast<ascore_env*>(ascore::table().put({kind.make(*config), nullptr}));
  });
}

ascore_status ascore_env_destroy(ascore_env* env) {
  return guarded(
      [&] { ascore::table().destroy<ascore::AnyVecEnv>(reinterpret_cast<std::uintptr_t>(env)); });
}

ascore_status ascore_env_get_spec(ascore_env* env, ascore_env_spec* spec) {
  return guarded([&] {
    const auto vec_env = use(env);
    const ascore::Spec& s = vec_env->spec();
    required(spec, "spec") = {.num_envs = vec_env->num_envs(),
                              .num_agents = s.num_agents,
                              .num_actions = s.num_actions(),
                              .views = s.views,
                              .obs_size = s.obs_size,
                              .horizon = s.horizon,
                              .num_threads = static_cast<int32_t>(vec_env->num_threads()),
                              .obs_dtype = vec_env->dtype(),
                              .obs_scale = s.obs_scale};
  });
}

ascore_status ascore_env_get_buffers(ascore_env* env, ascore_env_buffers* buffers) {
  return guarded([&] {
    const auto vec_env = use(env);
    required(buffers, "buffers") = vec_env->buffers();
  });
}

ascore_status ascore_env_action_name(ascore_env* env, int32_t action, const char** name) {
  return guarded([&] {
    const auto vec_env = use(env);
    required(name, "name") = nullptr;
    const auto& names = vec_env->action_names;
    if (action < 0 || static_cast<std::size_t>(action) >= names.size()) {
      refuse("action = " + std::to_string(action) + " is outside 0.." +
             std::to_string(names.size() - 1));
    }
    *name = names[static_cast<std::size_t>(action)].c_str();
  });
}

ascore_status ascore_env_reset(ascore_env* env) {
  return guarded([&] { use(env)->reset(); });
}

ascore_status ascore_env_reset_seed(ascore_env* env, uint64_t seed) {
  return guarded([&] { use(env)->reset(seed); });
}

ascore_status ascore_env_step(ascore_env* env, const int32_t* action, size_t count) {
  return guarded([&] {
    const auto vec_env = use(env);
    vec_env->step(entries(action, "action", count, vec_env->num_actors));
  });
}

ascore_status ascore_env_uniforms(ascore_env* env, float* out, size_t count) {
  return guarded([&] {
    const auto vec_env = use(env);
    vec_env->uniforms(entries(out, "out", count, vec_env->num_actors));
  });
}

ascore_status ascore_env_save_state(ascore_env* env, uint8_t* out, size_t capacity, size_t* size) {
  return guarded([&] {
    const auto vec_env = use(env);
    required(size, "size") = 0;
    const std::vector<std::uint8_t> state = vec_env->save_state();
    *size = state.size();
    if (out == nullptr) return;
    if (capacity < state.size()) {
      refuse("capacity = " + std::to_string(capacity) + " bytes, want " +
             std::to_string(state.size()));
    }
    std::memcpy(out, state.data(), state.size());
  });
}

ascore_status ascore_env_load_state(ascore_env* env, const uint8_t* state, size_t size) {
  return guarded([&] {
    const auto vec_env = use(env);
    required(state, "state");
    vec_env->load_state({state, size});
  });
}

ascore_status ascore_policy_load(uint32_t abi_version, const char* path, ascore_policy** policy) {
  return guarded([&] {
    required(policy, "policy") = nullptr;
    require_abi(abi_version);
    auto loaded =
        std::make_unique<ascore::LoadedPolicy>(ascore::Policy::load(&required(path, "path")));
    *policy = reinterpret_cast<ascore_policy*>(ascore::table().put({nullptr, std::move(loaded)}));
  });
}

ascore_status ascore_policy_destroy(ascore_policy* policy) {
  return guarded([&] {
    ascore::table().destroy<ascore::LoadedPolicy>(reinterpret_cast<std::uintptr_t>(policy));
  });
}

ascore_status ascore_policy_get_spec(ascore_policy* policy, ascore_policy_spec* spec) {
  return guarded([&] {
    const auto loaded = use(policy);
    const ascore::Policy& p = loaded->policy;
    required(spec, "spec") = {.num_agents = static_cast<int32_t>(p.num_agents()),
                              .num_actions = static_cast<int32_t>(p.num_actions()),
                              .obs_size = static_cast<int32_t>(p.obs_size()),
                              .centralised = p.centralised() ? 1 : 0,
                              .num_log_probs = static_cast<int64_t>(p.num_log_probs()),
                              .obs_scale = static_cast<double>(p.obs_scale())};
  });
}

ascore_status ascore_policy_action_counts(ascore_policy* policy, int32_t* out, size_t count) {
  return guarded([&] {
    const auto loaded = use(policy);
    const auto& counts = loaded->policy.action_counts();
    std::ranges::transform(counts, entries(out, "out", count, counts.size()).begin(),
                           [](std::size_t each) { return static_cast<int32_t>(each); });
  });
}

ascore_status ascore_policy_env(ascore_policy* policy, const char** name) {
  return guarded([&] {
    const auto loaded = use(policy);
    required(name, "name") = loaded->policy.env().c_str();
  });
}

ascore_status ascore_policy_env_params(ascore_policy* policy, const ascore_param** params,
                                       uint32_t* count) {
  return guarded([&] {
    const auto loaded = use(policy);
    required(params, "params");
    required(count, "count");
    *params = loaded->params.data();
    *count = static_cast<uint32_t>(loaded->params.size());
  });
}

ascore_status ascore_policy_act(ascore_policy* policy, ascore_env* env, int32_t greedy,
                                int32_t* action, size_t count) {
  return guarded([&] {
    const auto loaded = use(policy);
    const auto vec_env = use(env);
    vec_env->act(loaded->policy, greedy != 0,
                 entries(action, "action", count, vec_env->num_actors));
  });
}

ascore_status ascore_policy_log_probs(ascore_policy* policy, ascore_env* env, float* out,
                                      size_t count) {
  return guarded([&] {
    const auto loaded = use(policy);
    const auto vec_env = use(env);
    const std::size_t wanted = vec_env->num_envs() * loaded->policy.num_log_probs();
    vec_env->log_probs(loaded->policy, entries(out, "out", count, wanted));
  });
}

ascore_status ascore_policy_act_on(ascore_policy* policy, const void* obs, int32_t dtype,
                                   size_t rows, int32_t views, const float* uniform,
                                   int32_t* action) {
  return guarded([&] { act_on(policy, obs, dtype, rows, views, uniform, nullptr, action); });
}

ascore_status ascore_policy_act_legal(ascore_policy* policy, const void* obs, int32_t dtype,
                                      size_t rows, int32_t views, const float* uniform,
                                      const uint8_t* legal, int32_t* action) {
  return guarded(
      [&] { act_on(policy, obs, dtype, rows, views, uniform, &required(legal, "legal"), action); });
}

}  // extern "C"
