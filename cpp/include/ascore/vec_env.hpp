/// @file
/// B copies of one environment stepped together, over one or more threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/cache_lines.hpp"
#include "ascore/env.hpp"
#include "ascore/rng.hpp"
#include "ascore/thread_pool.hpp"

namespace ascore {

/// Owns the environments and every buffer; `step` overwrites the buffers in place.
///
/// Environment b draws from the streams keyed by (seed, first_env + b), so its results depend
/// neither on the batch it runs in nor on the threads. An episode that ends is followed by a fresh
/// one within the same step: `final_obs` keeps its last observation, `reward` and the flags are
/// those of the last step, `obs` and `neighbours` describe the new episode.
template <MultiAgentEnv Env>
class alignas(kCacheLine) VecEnv {
 public:
  using Params = typename Env::Params;  ///< parameters of the environment
  using Obs = typename Env::Obs;        ///< type of an observation's entries
  using State = typename Env::State;    ///< all that changes in one environment

  /// num_threads 0 chooses: as many hardware threads as there is work for. Throws
  /// std::invalid_argument for parameters or counts out of range.
  VecEnv(std::size_t num_envs, std::uint64_t seed, std::uint64_t first_env, int num_threads,
         const Params& params)
      : num_envs_(num_envs), seed_(seed), first_env_(first_env), params_(params) {
    if (num_envs < 1) throw std::invalid_argument("num_envs = 0 is below 1");
    if (first_env > std::numeric_limits<std::uint64_t>::max() - (num_envs - 1)) {
      throw std::invalid_argument("first_env + num_envs does not fit into 64 bits");
    }
    if (num_threads < 0) {
      throw std::invalid_argument("num_threads = " + std::to_string(num_threads) +
                                  " is below 0; 0 chooses");
    }
    validate(params);
    envs_.assign(num_envs, Env(params));
    spec_ = envs_.front().spec();

    const std::size_t agents = num_agents();
    obs_.resize(num_envs * view_size());
    final_obs_.resize(obs_.size());
    action_.resize(num_envs * agents);
    reward_.resize(num_envs * agents);
    if (!kOnRequest || agents <= kAlwaysHeard) neighbours_.resize(num_envs * agents * agents);
    terminated_.resize(num_envs);
    truncated_.resize(num_envs);
    episode_.resize(num_envs);
    time_.resize(num_envs);

    const std::size_t wanted =
        num_threads > 0 ? static_cast<std::size_t>(num_threads) : worthwhile_threads();
    pool_ = std::make_unique<ThreadPool>(std::min(wanted, num_envs));
    per_slice_ = num_envs / pool_->num_threads();
    larger_slices_ = num_envs % pool_->num_threads();
  }

  /// Agents up to which it is always written down who hears whom.
  static constexpr std::size_t kAlwaysHeard = 64;

  /// Whether it is written down for more agents only on request, see `StepView`. @hideinitializer
  static constexpr bool kOnRequest = requires { requires Env::kNeighboursOnRequest; };

  /// Has it written down for more agents, too, in N * N bytes per environment. Throws
  /// std::invalid_argument after the first reset, which would have had to write it.
  void keep_neighbours() {
    if (!neighbours_.empty()) return;
    if (started_ != 0) {
      throw std::invalid_argument("who hears whom in " + std::string(spec_.name) +
                                  " is kept from the first reset on; ask for it before");
    }
    neighbours_.resize(num_envs_ * num_agents() * num_agents());
  }

  /// Starts the next episode everywhere; the first call starts episode 0.
  void reset() {
    for (std::uint64_t& episode : episode_) episode += started_ ? 1 : 0;
    start();
  }

  /// Starts episode 0 everywhere with streams keyed by a new seed.
  void reset(std::uint64_t seed) {
    seed_ = seed;
    std::ranges::fill(episode_, 0);
    start();
  }

  /// Advances every environment by one step; action is [B, N]. Nothing moves if an action is out of
  /// range (std::invalid_argument names it). Actions are copied before they are checked: a thread
  /// that writes to them meanwhile decides which actions are played, and never plays one out of
  /// range.
  void step(std::span<const std::int32_t> action) {
    require_started("step");
    copy_actions(action, action_);
    auto slice = [this](std::size_t worker) noexcept {
      const std::size_t end = slice_begin(worker + 1);
      for (std::size_t b = slice_begin(worker); b < end; ++b) step_one(b);
    };
    pool_->run(slice);
  }

  /// One uniform number in [0, 1) per agent for drawing its action in the current state: the n-th
  /// word of the action stream of this environment, episode and time. out is [B, N].
  void uniforms(std::span<float> out) const {
    require_started("uniforms");
    if (out.size() != num_envs_ * num_agents()) {
      throw std::invalid_argument("out has " + std::to_string(out.size()) + " entries, want " +
                                  std::to_string(num_envs_ * num_agents()));
    }
    auto slice = [this, out](std::size_t worker) noexcept {
      const std::size_t end = slice_begin(worker + 1);
      for (std::size_t b = slice_begin(worker); b < end; ++b) {
        Rng rng = stream(b, static_cast<std::uint64_t>(time_[b]), Domain::kAction);
        for (float& x : out.subspan(b * num_agents(), num_agents())) x = rng.u01_single();
      }
    };
    pool_->run(slice);
  }

  /// Where `rollout` puts what happens: T steps, [T, B, ...] each, C-contiguous.
  struct Record {
    std::size_t steps;                   ///< T
    std::span<Obs> obs;                  ///< [T, B, V, O], the state an action was chosen in
    std::span<std::uint8_t> neighbours;  ///< [T, B, N, N], likewise; or empty: nobody asks
    std::span<std::int32_t> action;      ///< [T, B, N]
    std::span<float> reward;             ///< [T, B, N]
    std::span<std::uint8_t> terminated;  ///< [T, B]
    std::span<std::uint8_t> truncated;   ///< [T, B]
    std::span<double> running;           ///< [B, N], rewards of the unfinished episodes; continued
  };

  /// An episode that ended during a rollout.
  struct Ended {
    std::size_t step;             ///< step of the rollout, from 0
    std::size_t env;              ///< number of the environment in the batch
    std::vector<Obs> obs;         ///< [V, O], its last state
    std::vector<double> returns;  ///< [N]
  };

  /// T steps of every environment with the actions of a policy that does not change meanwhile, so
  /// threads need not wait for one another. `act(worker, row, count, obs, uniform, action)` draws
  /// actions [count, N] for rows row.. of the record's T * B from their states and uniform numbers;
  /// it must not throw. Returns the episodes that ended, by step and environment.
  template <class Act>
  std::vector<Ended> rollout(const Record& to, Act& act) {
    require_started("rollout");
    if (!to.neighbours.empty() && neighbours_.empty()) {
      throw std::invalid_argument("who hears whom in " + std::string(spec_.name) +
                                  " is not kept; call keep_neighbours before the first reset");
    }
    const std::size_t n = num_agents(), view = view_size(), batch = num_envs_;
    std::vector<std::vector<Ended>> ended(pool_->num_threads());
    LineVector<float> numbers(batch * n);
    // By value: what lies on the caller's stack shares lines with what the caller writes there.
    auto slice = [this, to, n, view, batch, uniform = numbers.data(), &act,
                  &ended](std::size_t worker) noexcept {
      const std::size_t begin = slice_begin(worker), count = slice_begin(worker + 1) - begin;
      for (std::size_t t = 0; t < to.steps; ++t) {
        const std::size_t row = t * batch + begin;
        std::copy_n(obs_.data() + begin * view, count * view, to.obs.data() + row * view);
        if (!to.neighbours.empty()) {
          std::copy_n(neighbours_.data() + begin * n * n, count * n * n,
                      to.neighbours.data() + row * n * n);
        }
        for (std::size_t b = begin; b < begin + count; ++b) {
          Rng rng = stream(b, static_cast<std::uint64_t>(time_[b]), Domain::kAction);
          for (std::size_t i = 0; i < n; ++i) uniform[b * n + i] = rng.u01_single();
        }
        // From and into this batch's own buffers: others may write to the record meanwhile.
        std::int32_t* action = action_.data() + begin * n;
        act(worker, row, count, obs_.data() + begin * view, uniform + begin * n, action);
        std::copy_n(action, count * n, to.action.data() + row * n);
        for (std::size_t b = begin; b < begin + count; ++b) {
          step_one(b);
          double* running = to.running.data() + b * n;
          for (std::size_t i = 0; i < n; ++i) {
            running[i] += static_cast<double>(reward_[b * n + i]);
          }
          if (terminated_[b] != 0 || truncated_[b] != 0) {
            ended[worker].push_back(
                {t,
                 b,
                 {final_obs_.data() + b * view, final_obs_.data() + (b + 1) * view},
                 {running, running + n}});
            std::fill_n(running, n, 0.0);
          }
        }
        std::copy_n(reward_.data() + begin * n, count * n, to.reward.data() + row * n);
        std::copy_n(terminated_.data() + begin, count, to.terminated.data() + row);
        std::copy_n(truncated_.data() + begin, count, to.truncated.data() + row);
      }
    };
    pool_->run(slice);
    std::vector<Ended> all;
    for (auto& part : ended) {
      all.insert(all.end(), std::make_move_iterator(part.begin()),
                 std::make_move_iterator(part.end()));
    }
    std::ranges::sort(all, {}, [batch](const Ended& e) { return e.step * batch + e.env; });
    return all;
  }

  /// What some agents see and do in the current state, where each has a view of its own; nothing
  /// moves. Copies their observations [B, count, O], and lets `act`, as in `rollout` but of these
  /// agents alone, draw their actions [B, count] with the numbers that `rollout` would draw with.
  template <class Act>
  void choose(std::size_t first, std::size_t count, std::span<Obs> obs,
              std::span<std::int32_t> action, Act& act) const {
    require_started("choose");
    const std::size_t n = num_agents(), size = static_cast<std::size_t>(spec_.obs_size);
    if (spec_.views != spec_.num_agents || count < 1 || first >= n || count > n - first ||
        obs.size() != num_envs_ * count * size || action.size() != num_envs_ * count) {
      throw std::invalid_argument(std::to_string(count) + " agents from " + std::to_string(first) +
                                  " on cannot choose among " + std::to_string(n) + " with " +
                                  std::to_string(spec_.views) + " views");
    }
    LineVector<float> numbers(action.size());
    auto slice = [this, first, count, size, n, obs, action, uniform = numbers.data(),
                  &act](std::size_t worker) noexcept {
      const std::size_t begin = slice_begin(worker), end = slice_begin(worker + 1);
      for (std::size_t b = begin; b < end; ++b) {
        std::copy_n(obs_.data() + (b * n + first) * size, count * size,
                    obs.data() + b * count * size);
        Rng rng = stream(b, static_cast<std::uint64_t>(time_[b]), Domain::kAction);
        rng.discard(first);
        for (std::size_t i = 0; i < count; ++i) uniform[b * count + i] = rng.u01_single();
      }
      act(worker, begin, end - begin, obs.data() + begin * count * size, uniform + begin * count,
          action.data() + begin * count);
    };
    pool_->run(slice);
  }

  /// Environment b as it stands. Throws std::out_of_range if there is none.
  const Env& env(std::size_t b) const {
    if (b >= num_envs_) {
      throw std::out_of_range("index = " + std::to_string(b) + " is outside 0.." +
                              std::to_string(num_envs_ - 1));
    }
    return envs_[b];
  }

  /// What environment b holds in the current state: see `Inspectable`. Throws as `env` does,
  /// and std::invalid_argument before the first reset.
  template <class Row>
    requires Inspectable<Env>
  void inspect(std::size_t b, Row&& row) const {
    require_started("inspect");
    env(b).inspect(row);
  }

  /// What environment b will hold after a step with these actions [B, N], before the reset that an
  /// ended episode is followed by. Nothing moves. Throws as `env` and `step` do.
  template <class Row>
    requires Inspectable<Env>
  void inspect_after(std::size_t b, std::span<const std::int32_t> action, Row&& row) const {
    require_started("inspect");
    Env next = env(b);
    ahead(b, action, [&next](Rng& rng, const StepView<Obs>& io) { next.step(rng, io); });
    next.inspect(row);
  }

  /// What the agents of environment b will do in a step with these actions [B, N]: see `Telling`.
  /// Nothing moves. Throws as `env` and `step` do.
  template <class Row>
    requires Telling<Env>
  void deeds(std::size_t b, std::span<const std::int32_t> action, Row&& row) const {
    require_started("deeds");
    Env next = env(b);
    ahead(b, action, [&](Rng& rng, const StepView<Obs>& io) { next.step_and_tell(rng, io, row); });
  }

  /// Everything that changes, in native byte order, behind a line of text that says whose it is.
  std::vector<std::uint8_t> save_state() const { return save_state(0, num_envs_); }

  /// The same of environments first..first + count - 1, as a batch of them alone would save it.
  /// Throws std::out_of_range if they are not all here.
  std::vector<std::uint8_t> save_state(std::size_t first, std::size_t count) const {
    require_part(first, count);
    const std::string owner = identity(first, count);
    const std::size_t payload = payload_size(count);
    std::vector<std::uint8_t> out(sizeof(Header) + owner.size() + payload);
    std::uint8_t* const body = out.data() + sizeof(Header) + owner.size();
    std::uint8_t* to = body;
    const auto put = [&to](const auto* from, std::size_t count) {
      if (count == 0) return;  // an empty buffer may lie nowhere, which memcpy must not be told
      std::memcpy(to, from, count * sizeof(*from));
      to += count * sizeof(*from);
    };
    put(&seed_, 1);
    put(&started_, 1);
    for (std::size_t b = first; b < first + count; ++b) {
      for_each_part(envs_[b].state(), [&put](auto part) { put(part.data(), part.size()); });
    }
    put(time_.data() + first, count);
    visit_buffers(*this, [&](std::string_view, const auto& buffer) {
      const std::size_t each = buffer.size() / num_envs_;
      put(buffer.data() + first * each, count * each);
    });
    const Header header{owner.size(), checksum({body, payload})};
    std::memcpy(out.data(), &header, sizeof(header));
    std::memcpy(out.data() + sizeof(header), owner.data(), owner.size());
    return out;
  }

  /// Goes back to a saved state, every buffer included. Throws std::invalid_argument, leaving
  /// everything as it was, if the bytes are damaged, belong to another environment, parameter set,
  /// batch size or first_env, or hold what no environment of this kind can.
  void load_state(std::span<const std::uint8_t> bytes) { load_state(bytes, 0, num_envs_); }

  /// The same for environments first..first + count - 1; the others stay as they are. Throws
  /// std::out_of_range if they are not all here.
  void load_state(std::span<const std::uint8_t> state, std::size_t first, std::size_t count) {
    require_part(first, count);
    // Copied before it is checked: others may write to it meanwhile.
    const std::vector<std::uint8_t> copy(state.begin(), state.end());
    const std::span<const std::uint8_t> payload = payload_of(copy, identity(first, count), count);

    const std::uint8_t* from = payload.data();
    const auto get = [&from](auto* to, std::size_t number) {
      if (number == 0) return;
      std::memcpy(to, from, number * sizeof(*to));
      from += number * sizeof(*to);
    };
    std::uint64_t seed = 0;
    std::uint8_t started = 0;
    const State fresh = Env(params_).state();
    std::vector<State> states(count, fresh);
    std::vector<std::int32_t> time(count);
    get(&seed, 1);
    get(&started, 1);
    for (State& one : states) {
      for_each_part(one, [&get](auto part) { get(part.data(), part.size()); });
    }
    get(time.data(), count);
    if (started > 1) {
      throw std::invalid_argument("state has started = " + std::to_string(started) +
                                  ", want 0 or 1; load one that save_state returned");
    }
    // Before the first reset there is no state: environments are as they were made.
    if (started == 0) std::ranges::fill(states, fresh);
    for (std::size_t k = 0; k < count; ++k) {
      const bool in_time = time[k] >= 0 && time[k] < spec_.horizon;
      if (!in_time || (started != 0 && !envs_[first + k].admits(states[k]))) {
        throw std::invalid_argument("state of environment " + std::to_string(first + k) +
                                    " is impossible in " + std::string(spec_.name));
      }
    }
    require_flags({from, payload.data() + payload.size()}, first, count);

    seed_ = seed;
    started_ = started;
    // In place: others hold views of the buffers.
    std::ranges::copy(time, time_.begin() + static_cast<std::ptrdiff_t>(first));
    for (std::size_t k = 0; k < count; ++k) envs_[first + k].state() = states[k];
    visit_buffers(*this, [&](std::string_view, auto& buffer) {
      const std::size_t each = buffer.size() / num_envs_;
      get(buffer.data() + first * each, count * each);
    });
  }

  const Spec& spec() const noexcept { return spec_; }          ///< sizes and names
  const Params& params() const noexcept { return params_; }    ///< as given
  std::size_t num_envs() const noexcept { return num_envs_; }  ///< B
  bool started() const noexcept { return started_ != 0; }      ///< whether there is a state to step
  /// N
  std::size_t num_agents() const noexcept { return static_cast<std::size_t>(spec_.num_agents); }
  std::size_t num_threads() const noexcept { return pool_->num_threads(); }  ///< in use

  std::span<const Obs> obs() const noexcept { return obs_; }              ///< [B, V, O]
  std::span<const Obs> final_obs() const noexcept { return final_obs_; }  ///< [B, V, O]
  std::span<const float> reward() const noexcept { return reward_; }      ///< [B, N]
  /// [B, N, N], or empty: see `keep_neighbours`
  std::span<const std::uint8_t> neighbours() const noexcept { return neighbours_; }
  std::span<const std::uint8_t> terminated() const noexcept { return terminated_; }  ///< [B]
  std::span<const std::uint8_t> truncated() const noexcept { return truncated_; }    ///< [B]
  std::span<const std::uint64_t> episode() const noexcept { return episode_; }       ///< [B]
  std::span<const std::int32_t> time() const noexcept { return time_; }              ///< [B]

 private:
  struct Header {
    std::uint64_t owner_size;
    std::uint64_t checksum;
  };
  static constexpr std::size_t kMaxOwnerSize = 4096;

  /// A hand-over to other threads must be worth this much work to each of them.
  static constexpr double kHandOverNs = 1e6;

  std::size_t view_size() const noexcept {
    return static_cast<std::size_t>(spec_.views) * static_cast<std::size_t>(spec_.obs_size);
  }

  std::size_t worthwhile_threads() const noexcept {
    const double work = static_cast<double>(num_envs_) * spec_.step_ns / kHandOverNs;
    const auto hardware = static_cast<double>(usable_processors());
    return static_cast<std::size_t>(std::clamp(work, 1.0, hardware));
  }

  /// Slices are a function of the counts alone and differ by at most one environment.
  std::size_t slice_begin(std::size_t worker) const noexcept {
    return per_slice_ * worker + std::min(worker, larger_slices_);
  }

  Rng stream(std::size_t b, std::uint64_t step, Domain domain) const noexcept {
    return {seed_, first_env_ + b, episode_[b], step, domain};
  }

  /// What the next step of environment b draws from.
  Rng step_stream(std::size_t b) const noexcept {
    return stream(b, static_cast<std::uint64_t>(time_[b]) + 1, Domain::kDynamics);
  }

  StepView<Obs> view(std::size_t b, std::span<const std::int32_t> action) noexcept {
    const std::size_t n = num_agents();
    std::span<std::uint8_t> heard;
    if (!neighbours_.empty()) heard = {neighbours_.data() + b * n * n, n * n};
    return {.action = action,
            .reward = {reward_.data() + b * n, n},
            .obs = {obs_.data() + b * view_size(), view_size()},
            .neighbours = heard};
  }

  /// Calls `play` with what the next step of a copy of environment b needs.
  template <class Play>
  void ahead(std::size_t b, std::span<const std::int32_t> action, Play&& play) const {
    const std::size_t n = num_agents();
    std::vector<std::int32_t> all(num_envs_ * n);
    copy_actions(action, all);
    std::vector<Obs> obs(obs_.begin() + static_cast<std::ptrdiff_t>(b * view_size()),
                         obs_.begin() + static_cast<std::ptrdiff_t>((b + 1) * view_size()));
    std::vector<float> reward(n);
    std::vector<std::uint8_t> neighbours(neighbours_.empty() ? 0 : n * n);
    Rng rng = step_stream(b);
    play(rng, StepView<Obs>{.action = std::span<const std::int32_t>(all).subspan(b * n, n),
                            .reward = reward,
                            .obs = obs,
                            .neighbours = neighbours});
  }

  void start() {
    started_ = 1;
    std::ranges::fill(reward_, 0.0F);
    std::ranges::fill(terminated_, 0);
    std::ranges::fill(truncated_, 0);
    auto slice = [this](std::size_t worker) noexcept {
      const std::size_t end = slice_begin(worker + 1);
      for (std::size_t b = slice_begin(worker); b < end; ++b) reset_one(b);
    };
    pool_->run(slice);
  }

  void reset_one(std::size_t b) noexcept {
    time_[b] = 0;
    Rng rng = stream(b, 0, Domain::kDynamics);
    envs_[b].reset(rng, view(b, {}));
  }

  /// A step of environment b with its actions in `action_`.
  void step_one(std::size_t b) noexcept {
    Rng rng = step_stream(b);
    const std::size_t n = num_agents();
    const bool terminated = envs_[b].step(rng, view(b, {action_.data() + b * n, n}));
    ++time_[b];
    const bool truncated = time_[b] == spec_.horizon;
    terminated_[b] = terminated;
    truncated_[b] = truncated;
    if (terminated || truncated) {
      std::copy_n(obs_.begin() + static_cast<std::ptrdiff_t>(b * view_size()), view_size(),
                  final_obs_.begin() + static_cast<std::ptrdiff_t>(b * view_size()));
      ++episode_[b];
      reset_one(b);
    }
  }

  void require_part(std::size_t first, std::size_t count) const {
    if (count < 1 || first >= num_envs_ || count > num_envs_ - first) {
      throw std::out_of_range(std::to_string(count) + " environments from " +
                              std::to_string(first) + " on are not among " +
                              std::to_string(num_envs_));
    }
  }

  void require_started(const char* what) const {
    if (started_ == 0) {
      throw std::invalid_argument(std::string(what) + " before the first reset of " +
                                  std::string(spec_.name) + "; call reset() first");
    }
  }

  /// Copies actions [B, N] and throws std::invalid_argument if one of the copies is out of range.
  void copy_actions(std::span<const std::int32_t> from, std::span<std::int32_t> action) const {
    const std::size_t n = num_agents();
    if (from.size() != num_envs_ * n) {
      throw std::invalid_argument("action has " + std::to_string(from.size()) + " entries, want " +
                                  std::to_string(num_envs_ * n));
    }
    std::ranges::copy(from, action.begin());
    // From here on compilers must read the copy: what was copied may be another value by now.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const auto limit = static_cast<std::uint32_t>(spec_.num_actions());
    // The top bit is set in an action below 0 or in its distance to the last one: no branch and
    // no comparison of unsigned numbers, so that it vectorises.
    std::uint32_t bad = 0;
    for (const std::int32_t a : action) {
      const auto bits = static_cast<std::uint32_t>(a);
      bad |= bits | (limit - 1 - bits);
    }
    if (bad >> 31 == 0) return;
    const auto first = std::ranges::find_if(
        action, [limit](std::int32_t a) { return static_cast<std::uint32_t>(a) >= limit; });
    const auto at = static_cast<std::size_t>(first - action.begin());
    std::string names;
    for (const std::string_view name : spec_.action_names) {
      if (!names.empty()) names += ", ";
      names += name;
    }
    throw std::invalid_argument("action[" + std::to_string(at / n) + ", " + std::to_string(at % n) +
                                "] = " + std::to_string(*first) + " is outside 0.." +
                                std::to_string(limit - 1) + "; " + std::string(spec_.name) +
                                " has " + std::to_string(limit) + " actions: " + names);
  }

  /// Whose state it is: format, environment, batch and every parameter. One of `Params::kLater`,
  /// which older states know nothing of, is left out at its default.
  std::string identity(std::size_t first, std::size_t count) const {
    std::string text = "ascore state 2, " + std::string(spec_.name) +
                       ", num_envs = " + std::to_string(count) +
                       ", first_env = " + std::to_string(first_env_ + first);
    std::vector<std::string> left_out;
    if constexpr (requires { Params::kLater; }) {
      const Params defaults;
      Params::visit(defaults, [&left_out](std::string_view name, const auto& value,
                                          const auto& allowed, std::string_view, std::string_view) {
        if (std::ranges::find(Params::kLater, name) == std::end(Params::kLater)) return;
        left_out.push_back(", " + std::string(name) + " = " + describe_value(value, allowed));
      });
    }
    Params::visit(params_, [&](std::string_view name, const auto& value, const auto& allowed,
                               std::string_view, std::string_view) {
      const std::string entry = ", " + std::string(name) + " = " + describe_value(value, allowed);
      if (std::ranges::find(left_out, entry) == left_out.end()) text += entry;
    });
    return text;
  }

  /// What a saved state holds behind its heading. Throws std::invalid_argument unless it is whole,
  /// undamaged and of this owner.
  std::span<const std::uint8_t> payload_of(std::span<const std::uint8_t> bytes,
                                           const std::string& owner, std::size_t count) const {
    Header header{};
    if (bytes.size() < sizeof(header)) throw std::invalid_argument("state is truncated");
    std::memcpy(&header, bytes.data(), sizeof(header));
    bytes = bytes.subspan(sizeof(header));
    if (header.owner_size > std::min(bytes.size(), kMaxOwnerSize)) {
      throw std::invalid_argument("state is truncated or was not written by save_state");
    }
    const std::string_view theirs(reinterpret_cast<const char*>(bytes.data()), header.owner_size);
    if (theirs != owner) {
      throw std::invalid_argument("state belongs to \"" + std::string(theirs) +
                                  "\", not to this \"" + owner + "\"");
    }
    bytes = bytes.subspan(header.owner_size);
    if (bytes.size() != payload_size(count)) {
      throw std::invalid_argument("state is truncated: " + std::to_string(bytes.size()) +
                                  " bytes after its heading, want " +
                                  std::to_string(payload_size(count)));
    }
    if (checksum(bytes) != header.checksum) {
      throw std::invalid_argument("state is damaged: its checksum does not match");
    }
    return bytes;
  }

  /// Throws std::invalid_argument if a buffer of flags in the bytes of all buffers holds more than
  /// 0 and 1.
  void require_flags(std::span<const std::uint8_t> bytes, std::size_t first,
                     std::size_t count) const {
    visit_buffers(*this, [&](std::string_view flags, const auto& buffer) {
      const std::size_t each = std::span(buffer).size_bytes() / num_envs_;
      const auto part = bytes.first(count * each);
      bytes = bytes.subspan(part.size());
      if (flags.empty()) return;
      const auto bad = std::ranges::find_if(part, [](std::uint8_t flag) { return flag > 1; });
      if (bad == part.end()) return;
      const auto where = static_cast<std::size_t>(bad - part.begin());
      throw std::invalid_argument("state of environment " + std::to_string(first + where / each) +
                                  " holds " + std::to_string(*bad) + " in " + std::string(flags) +
                                  ", want 0 or 1; load one that save_state returned");
    });
  }

  /// The buffers, each with its name if it holds flags; the others may hold anything.
  template <class Self, class Visitor>
  static void visit_buffers(Self& self, Visitor&& visitor) {
    visitor("", self.episode_);
    visitor("", self.obs_);
    visitor("", self.final_obs_);
    visitor("", self.reward_);
    visitor("neighbours", self.neighbours_);
    visitor("terminated", self.terminated_);
    visitor("truncated", self.truncated_);
  }

  std::size_t payload_size(std::size_t count) const {
    std::size_t each = saved_size(envs_.front().state()) + sizeof(time_[0]);
    visit_buffers(*this, [&](std::string_view, const auto& buffer) {
      each += std::span(buffer).size_bytes() / num_envs_;
    });
    return sizeof(seed_) + sizeof(started_) + count * each;
  }

  /// FNV-1a, 64 bits: guards against damage, not against malice.
  static std::uint64_t checksum(std::span<const std::uint8_t> bytes) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
    return hash;
  }

  std::size_t num_envs_;
  std::uint64_t seed_;
  std::uint64_t first_env_;
  Params params_;
  Spec spec_{};
  std::uint8_t started_ = 0;
  LineVector<Env> envs_;

  LineVector<std::int32_t> action_;  ///< [B, N], of the step that is being played
  LineVector<Obs> obs_, final_obs_;
  LineVector<float> reward_;
  LineVector<std::uint8_t> neighbours_, terminated_, truncated_;
  LineVector<std::uint64_t> episode_;
  LineVector<std::int32_t> time_;
  std::size_t per_slice_ = 0, larger_slices_ = 0;  ///< not divided anew in every step

  // Last, so that the threads are joined before the buffers they write to are gone.
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace ascore
