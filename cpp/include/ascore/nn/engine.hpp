/// Updates of stacked per-agent networks without an interpreter between the steps: forward, loss,
/// backward, gradient limit and Adam over whole iterations, on threads that block.
///
/// Work is cut into (network, chunk of rows) regardless of the number of threads, and partial
/// gradients are added in order, so results do not depend on it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "ascore/nn/choose.hpp"
#include "ascore/nn/floats.hpp"
#include "ascore/nn/job.hpp"
#include "ascore/nn/subnormal.hpp"
#include "ascore/thread_pool.hpp"

namespace ascore::nn {

/// Parameters, gradient and moments of one kind of network, K rows of P each; owned elsewhere.
struct Stack {
  Layers layers;
  int networks = 0;         ///< K
  std::ptrdiff_t size = 0;  ///< P
  float* parameter = nullptr;
  float* gradient = nullptr;
  float* first = nullptr;
  float* second = nullptr;
  float* steps = nullptr;  ///< [N], Adam steps taken by every agent
  float lr = 0.0f, eps = 1e-8f, max_norm = 0.0f;
};

/// What the steps since it was last cleared did, per owner, summed over their minibatches.
struct Statistics {
  double sums[kSums] = {};  ///< each divided by the rows of its minibatch, but for counts
  double active_own = 0.0, active_peer = 0.0, gap = 0.0;  ///< shares of the links
  double value_loss = 0.0, actor_norm = 0.0, critic_norm = 0.0;
};

/// The names of `Statistics` in its order; "" = not reported, or only as a share.
inline constexpr std::array<const char*, kSums + 6> kStatisticNames{"policy_loss",
                                                                    "penalty",
                                                                    "entropy",
                                                                    "",
                                                                    "",
                                                                    "",
                                                                    "",
                                                                    "peer_ratio",
                                                                    "kl",
                                                                    "clip_fraction",
                                                                    "active_own",
                                                                    "active_anticipation",
                                                                    "discrepancy",
                                                                    "value_loss",
                                                                    "policy_grad_norm",
                                                                    "value_grad_norm"};
static_assert(sizeof(Statistics) == kStatisticNames.size() * sizeof(double));
static_assert(kPolicy == 0 && kPenalty == 1 && kEntropy == 2 && kPeerRatio == 7 && kKl == 8 &&
              kClipped == 9);

/// What can turn out not to be finite.
inline constexpr std::array<const char*, 4> kQuantityNames{"policy loss", "value loss",
                                                           "policy gradient", "value gradient"};

/// A loss or gradient that is not a number; nothing was written.
struct Failure {
  int owner = -1;
  int quantity = 0;  ///< place in `kQuantityNames`
  double value = 0.0;
};

class Engine {
 public:
  Engine(const Actors& actors, const Stack& actor, const Stack& critic, std::size_t threads,
         std::string_view instruction_set)
      : passes_(choose_passes(instruction_set)),
        actors_(actors),
        actor_(actor),
        critic_(critic),
        sizes_(passes_.sizes(actor.layers, critic.layers, actors)),
        pool_(threads) {
    const std::ptrdiff_t each = actors.trunks * (sizes_.packed_actor + sizes_.gradient_actor) +
                                sizes_.packed_critic + sizes_.gradient_critic;
    const auto least = static_cast<std::ptrdiff_t>(std::max<std::size_t>(kFewest, threads));
    group_ = static_cast<int>(
        std::min<std::ptrdiff_t>(std::max(least, kMostPacked / each), actors.agents));
    const auto n = static_cast<std::size_t>(group_);
    const auto trunks = static_cast<std::size_t>(actors.trunks);
    packed_actor_.resize(n * trunks * static_cast<std::size_t>(sizes_.packed_actor));
    packed_critic_.resize(n * static_cast<std::size_t>(sizes_.packed_critic));
    kept_of_.assign(static_cast<std::size_t>(actors.agents), nullptr);
    scratch_.resize(threads);
    for (Floats& memory : scratch_) memory.resize(static_cast<std::size_t>(sizes_.scratch));
  }

  const Passes& passes() const noexcept { return passes_; }
  std::size_t num_threads() const noexcept { return pool_.num_threads(); }

  /// Learning rates from now on.
  void set_rates(float actor, float critic) noexcept {
    actor_.lr = actor;
    critic_.lr = critic;
  }

  /// Log-probabilities f32 [last - first, S, H, A] of some owners. With `keep` the next minibatch
  /// of theirs, if it is of all these rows, starts from the activations of this pass: until then
  /// the parameters must stay as they are. They are kept only where reading them again is quicker
  /// than computing them.
  void log_probs(const Observations& obs, std::int64_t rows, int first, int last, float* out,
                 bool keep) {
    const std::int64_t chunks = (rows + kChunk - 1) / kChunk;
    const std::int64_t wide = std::int64_t{actors_.heads} * actors_.actions;
    const std::ptrdiff_t size = (rows + sizes_.block - 1) / sizes_.block * sizes_.kept;
    forget(first, last);
    if (keep && group_ == actors_.agents && actors_.agents * size <= kMostKept) {
      kept_.resize(static_cast<std::size_t>(actors_.agents * size));
      kept_rows_ = rows;
      for (int owner = first; owner < last; ++owner) {
        kept_of_[static_cast<std::size_t>(owner)] = kept_.data() + owner * size;
      }
    }
    in_groups(first, last, [&](int begin, int end) {
      pack_actors(begin, end);
      const std::int64_t work = (end - begin) * rows * actor_size();
      each((end - begin) * chunks, work, [&](std::int64_t k, float* scratch) {
        const int owner = begin + static_cast<int>(k / chunks);
        const std::int64_t from = k % chunks * kChunk, count = std::min(kChunk, rows - from);
        passes_.log_probs(actor_.layers, actors_, obs, owner, actor_of(owner), from, count,
                          out + ((owner - first) * rows + from) * wide, kept_at(owner, from),
                          scratch);
      });
    });
  }

  /// Drops activations that were kept.
  void forget(int first, int last) {
    std::fill(kept_of_.begin() + first, kept_of_.begin() + last, nullptr);
  }

  /// Values f32 [last - first, S] of some owners in the critics' own units.
  void values(const Observations& obs, std::int64_t rows, int first, int last, float* out) {
    const std::int64_t chunks = (rows + kChunk - 1) / kChunk;
    in_groups(first, last, [&](int begin, int end) {
      pack_critics(begin, end);
      const std::int64_t work = (end - begin) * rows * critic_.size;
      each((end - begin) * chunks, work, [&](std::int64_t k, float* scratch) {
        const int owner = begin + static_cast<int>(k / chunks);
        const std::int64_t from = k % chunks * kChunk, count = std::min(kChunk, rows - from);
        passes_.values(critic_.layers, obs, owner, critic_of(owner), from, count,
                       out + (owner - first) * rows + from, scratch);
      });
    });
  }

  /// Sums [last - first, 2 + meanings + A] over what some owners anticipate of those they hear: see
  /// `anticipated_pass`.
  void anticipated(const Samples& samples, int first, int last, const std::int32_t* meant,
                   int meanings, double* sums) {
    const std::ptrdiff_t columns = 2 + meanings + actors_.actions;
    std::fill_n(sums, (last - first) * columns, 0.0);
    const std::int64_t each_owner = samples.rows * actors_.heads * (actors_.actions + 1) * kTouch;
    each(last - first, (last - first) * each_owner, [&](int k, float* scratch) {
      passes_.anticipated(actors_, samples, first + k, meant, meanings, sums + k * columns,
                          scratch);
    });
  }

  /// One gradient step of the owners first..last-1 on some rows of the batch: `index` [count], or
  /// null for rows 0..count-1. Adds what happened to `statistics` [N].
  ///
  /// Where not all rows are everybody's (`Samples::present`), each owner's loss is a mean over its
  /// own ones among them; an owner that has none takes no step.
  Failure minibatch(const Samples& samples, const Objective& objective, int first, int last,
                    const std::int64_t* index, std::int64_t count, Statistics* statistics) {
    share_out(samples, first, last, index, count, nullptr);
    norms_.assign(static_cast<std::size_t>(2 * (last - first)), 0.0);
    const std::int64_t chunks = differentiate(samples, objective, first, last, true);
    return take(samples, objective, first, last, chunks, statistics);
  }

  /// The first half of a step whose minibatch, `totals` [last - first] rows of each owner in all,
  /// lies with several processes: what `count` rows here (0 is allowed) contribute to the gradients
  /// and, f64 [last - first, kSums + 1], to the sums. All that is left is to add up over the
  /// processes.
  void gradient(const Samples& samples, const Objective& objective, int first, int last,
                const std::int64_t* index, std::int64_t count, const std::int64_t* totals,
                double* sums) {
    share_out(samples, first, last, index, count, totals);
    const std::int64_t chunks = differentiate(samples, objective, first, last, false);
    for (int k = 0; k < last - first; ++k) {
      std::copy_n(sums_.data() + k * chunks * kColumns, kColumns, sums + k * kColumns);
    }
  }

  /// The second half: limit and Adam on gradients and sums over all processes.
  Failure finish(const Samples& samples, const Objective& objective, int first, int last,
                 const std::int64_t* totals, const double* sums, Statistics* statistics) {
    parts_.resize(static_cast<std::size_t>(last - first));
    for (int k = 0; k < last - first; ++k) part_of(k) = {nullptr, 0, totals[k]};
    sums_.assign(sums, sums + (last - first) * kColumns);
    norms_.assign(static_cast<std::size_t>(2 * (last - first)), 0.0);
    each(last - first, touched(last - first), [&](int k, float*) { measure(first + k, k); });
    return take(samples, objective, first, last, 1, statistics);
  }

  /// Instead of `gradient`, for minibatches of whole episodes: what rewards decide of the gradients
  /// of every episode is shortened to norms `clip` of actor and critic, and added up in f64
  /// [last - first, P] each; what is left is the sum of the rest, where others find gradients. Adds
  /// how many episodes were longer to `clipped`, f64 [last - first, 2].
  ///
  /// Sums are in double, so that what rounding makes of one episode is lost in the noise.
  void episode_gradients(const Samples& samples, const Objective& objective, int first, int last,
                         const Episodes& episodes, const double* clip, double* actor,
                         double* critic, double* clipped, double* sums) {
    forget(0, actors_.agents);
    apart_.resize(scratch_.size());
    for (Floats& memory : apart_) memory.resize(static_cast<std::size_t>(sizes_.apart));
    const std::int64_t rows = episodes.count * episodes.steps;
    const std::int64_t chunks = std::min({kParts, episodes.count, (rows + kChunk - 1) / kChunk});
    in_groups(first, last, [&](int begin, int end) {
      pack_actors(begin, end);
      pack_critics(begin, end);
      const std::int64_t tasks = (end - begin) * chunks;
      const std::ptrdiff_t size = partial_size(), share = actors_.trunks * sizes_.gradient_actor;
      partial_.resize(static_cast<std::size_t>(tasks * share));
      std::fill_n(partial_.data(), tasks * share, 0.0f);
      totals_.assign(static_cast<std::size_t>(tasks * (size + kColumns + 2)), 0.0);
      const auto total_of = [&](std::int64_t k) {
        return totals_.data() + k * (size + kColumns + 2);
      };
      // Forward, and backward to weights and to inputs, twice in the actor.
      const std::int64_t work = (end - begin) * rows * (5 * actor_size() + 3 * critic_.size);
      each(tasks, work, [&](std::int64_t k, float* scratch) {
        const int owner = begin + static_cast<int>(k / chunks);
        const std::int64_t from = k % chunks * episodes.count / chunks;
        const std::int64_t here = (k % chunks + 1) * episodes.count / chunks - from;
        double *total = total_of(k), *own = total + size, *longer = own + kColumns;
        float* apart = apart_of(scratch);
        passes_.episodes_actor(actor_.layers, actors_, samples, objective, owner, episodes, from,
                               here, clip[0], actor_of(owner), total, partial_.data() + k * share,
                               own, longer, scratch, apart);
        passes_.episodes_critic(critic_.layers, samples, owner, episodes, from, here, clip[1],
                                critic_of(owner), total + share, own + kSums, longer + 1, scratch,
                                apart);
      });
      each(end - begin, touched(end - begin, chunks), [&](std::int64_t k, float*) {
        double* total = total_of(k * chunks);
        float* open = partial_.data() + k * chunks * share;
        for (std::int64_t c = 1; c < chunks; ++c) {
          const double* other = total_of(k * chunks + c);
          for (std::ptrdiff_t j = 0; j < size + kColumns + 2; ++j) total[j] += other[j];
          passes_.add(open, open + c * share, share);
        }
        const std::ptrdiff_t owner = begin + k, place = owner - first;
        for (std::ptrdiff_t t = 0; t < actors_.trunks; ++t) {
          const std::ptrdiff_t net = owner * actors_.trunks + t;
          passes_.unpack_gradient(actor_.layers, open + t * sizes_.gradient_actor,
                                  actor_.gradient + net * actor_.size);
          passes_.unpack_total(actor_.layers, total + t * sizes_.gradient_actor,
                               actor + (place * actors_.trunks + t) * actor_.size);
        }
        std::fill_n(critic_.gradient + owner * critic_.size, critic_.size, 0.0f);
        passes_.unpack_total(critic_.layers, total + share, critic + place * critic_.size);
        std::copy_n(total + size, kColumns, sums + place * kColumns);
        for (int s = 0; s < 2; ++s) clipped[2 * place + s] += total[size + kColumns + s];
      });
    });
  }

  /// Sums per owner: those of the actor, and the critic's squared error.
  static constexpr std::ptrdiff_t kColumns = kSums + 1;

 private:
  /// Multiplications below which a hand-over costs more than it saves: some 100 us of products.
  static constexpr std::int64_t kWorthSharing = std::int64_t{4} << 20;
  /// What reading and writing a parameter with its gradient and moments costs, in multiplications:
  /// products run from registers, these from the caches or from memory.
  static constexpr std::int64_t kTouch = 16;
  /// Floats of activations that are kept at most: what fits the caches.
  static constexpr std::ptrdiff_t kMostKept = 1 << 20;
  /// Floats that packed parameters and gradients of chunks take at most, about, unless the fewest
  /// agents that are computed together need more: what fits the caches. So their memory does not
  /// grow with the agents, and what has been packed is read from near by.
  static constexpr std::ptrdiff_t kMostPacked = std::ptrdiff_t{1} << 20;
  static constexpr std::size_t kFewest = 8;
  /// Parts into which the episodes of an owner are divided at most.
  static constexpr std::int64_t kParts = 16;

  /// Parameters of an agent's actor.
  std::int64_t actor_size() const noexcept { return actors_.trunks * actor_.size; }

  /// Multiplications that going through the parameters of some owners is worth.
  std::int64_t touched(std::int64_t owners, std::int64_t times = 1) const noexcept {
    return owners * times * kTouch * (actor_size() + critic_.size);
  }

  /// Offers `body` the agents that are computed together, from one to before another.
  template <class Body>
  void in_groups(int first, int last, Body&& body) {
    for (int begin = first; begin < last; begin += group_) {
      const int end = std::min(begin + group_, last);
      packed_from_ = group_ == actors_.agents ? 0 : begin;
      body(begin, end);
    }
  }

  void pack_actors(int first, int last) {
    each(last - first, (last - first) * kTouch * actor_size(), [&](int k, float*) {
      float* to = actor_of(first + k);
      for (int t = 0; t < actors_.trunks; ++t) {
        const std::ptrdiff_t net = std::ptrdiff_t{first + k} * actors_.trunks + t;
        passes_.pack(actor_.layers, actor_.parameter + net * actor_.size,
                     to + t * sizes_.packed_actor);
      }
    });
  }

  void pack_critics(int first, int last) {
    each(last - first, (last - first) * kTouch * critic_.size, [&](int k, float*) {
      const std::ptrdiff_t owner = first + k;
      passes_.pack(critic_.layers, critic_.parameter + owner * critic_.size, critic_of(first + k));
    });
  }

  /// Kept activations of an owner from a row on that begins a block, or null.
  float* kept_at(int owner, std::int64_t row) {
    float* kept = kept_of_[static_cast<std::size_t>(owner)];
    return kept != nullptr ? kept + row / sizes_.block * sizes_.kept : nullptr;
  }

  /// An owner's part of a minibatch: rows here, `index` [count] or null for the first `count`, and
  /// how many it has in all.
  struct Part {
    const std::int64_t* index = nullptr;
    std::int64_t count = 0, total = 0;
  };

  Part& part_of(int k) { return parts_[static_cast<std::size_t>(k)]; }

  /// Gives every owner its own rows of a minibatch; `totals` is null where all of it is here.
  void share_out(const Samples& samples, int first, int last, const std::int64_t* index,
                 std::int64_t count, const std::int64_t* totals) {
    parts_.assign(static_cast<std::size_t>(last - first), Part{index, count, count});
    if (samples.present != nullptr) {
      own_rows_.resize(parts_.size());
      for (int k = 0; k < last - first; ++k) {
        std::vector<std::int64_t>& own = own_rows_[static_cast<std::size_t>(k)];
        own.clear();
        for (std::int64_t m = 0; m < count; ++m) {
          const std::int64_t row = index != nullptr ? index[m] : m;
          if (samples.present[row * actors_.agents + first + k] != 0) own.push_back(row);
        }
        const std::int64_t rows = std::ssize(own);
        if (rows < count) part_of(k) = {own.data(), rows, rows};
      }
    }
    if (totals == nullptr) return;
    for (int k = 0; k < last - first; ++k) part_of(k).total = totals[k];
  }

  std::ptrdiff_t partial_size() const noexcept {
    return actors_.trunks * sizes_.gradient_actor + sizes_.gradient_critic;
  }

  /// Gradients of the owners, where others find them, their sums and, if `measured`, their norms;
  /// returns the chunks. The sums of an owner's first chunk are those of all of its chunks.
  std::int64_t differentiate(const Samples& samples, const Objective& objective, int first,
                             int last, bool measured) {
    std::int64_t most = 0;
    for (int k = 0; k < last - first; ++k) {
      const Part& part = part_of(k);
      if (part.index != nullptr || part.count != kept_rows_) forget(first + k, first + k + 1);
      most = std::max(most, part.count);
    }
    const std::int64_t chunks = std::max<std::int64_t>(1, (most + kChunk - 1) / kChunk);
    sums_.assign(static_cast<std::size_t>((last - first) * chunks * kColumns), 0.0);
    in_groups(first, last, [&](int begin, int end) {
      differentiate_chunks(samples, objective, begin, end, begin - first, chunks);
      each(end - begin, touched(end - begin, chunks), [&](int k, float*) {
        add_up(begin + k, k, begin - first + k, chunks);
        if (measured) measure(begin + k, begin - first + k);
      });
    });
    forget(first, last);
    return chunks;
  }

  /// Gradients and sums of every chunk of some owners, the first of which is number `number` among
  /// those of the step.
  void differentiate_chunks(const Samples& samples, const Objective& objective, int first, int last,
                            int number, std::int64_t chunks) {
    // What was kept was computed with the actors packed as they are.
    const bool packed = std::all_of(kept_of_.begin() + first, kept_of_.begin() + last,
                                    [](const float* kept) { return kept != nullptr; });
    if (!packed) pack_actors(first, last);
    pack_critics(first, last);
    const int owners = last - first;
    const std::ptrdiff_t actor_share = actors_.trunks * sizes_.gradient_actor;
    const std::ptrdiff_t size = partial_size();
    partial_.resize(static_cast<std::size_t>(owners * chunks * size));
    std::int64_t all = 0;
    for (int k = 0; k < owners; ++k) all += part_of(number + k).count;
    // Forward, and backward to weights and to inputs.
    const std::int64_t work = 3 * all * (actor_size() + critic_.size);
    each(owners * chunks, work, [&](std::int64_t k, float* scratch) {
      const int owner = first + static_cast<int>(k / chunks);
      const Part& own = part_of(number + static_cast<int>(k / chunks));
      const std::int64_t from = k % chunks * kChunk, part = std::min(kChunk, own.count - from);
      float* gradient = partial_.data() + k * size;
      double* sums = sums_.data() + (number * chunks + k) * kColumns;
      std::fill_n(gradient, size, 0.0f);
      if (part <= 0) return;
      const std::int64_t* rows = own.index != nullptr ? own.index + from : nullptr;
      passes_.actor(actor_.layers, actors_, samples, objective, owner, rows, from, part, own.total,
                    actor_of(owner), kept_at(owner, from), gradient, sums, scratch);
      passes_.critic(critic_.layers, samples, owner, rows, from, part, own.total, critic_of(owner),
                     gradient + actor_share, sums + kSums, scratch);
    });
  }

  /// Adds an owner's chunks in order: its gradient where others find it, its sums into the first.
  /// It is number k of its group, and `number` of the step.
  void add_up(int owner, int k, int number, std::int64_t chunks) {
    const std::ptrdiff_t size = partial_size();
    float* gradient = partial_.data() + k * chunks * size;
    double* sums = sums_.data() + number * chunks * kColumns;
    for (std::int64_t c = 1; c < chunks; ++c) {
      passes_.add(gradient, gradient + c * size, size);
      for (int s = 0; s <= kSums; ++s) sums[s] += sums[c * kColumns + s];
    }
    float* actor = actor_.gradient + std::ptrdiff_t{owner} * actors_.trunks * actor_.size;
    for (int t = 0; t < actors_.trunks; ++t) {
      passes_.unpack_gradient(actor_.layers, gradient + t * sizes_.gradient_actor,
                              actor + t * actor_.size);
    }
    passes_.unpack_gradient(critic_.layers, gradient + actors_.trunks * sizes_.gradient_actor,
                            critic_.gradient + owner * critic_.size);
  }

  /// Norms of an owner's gradients.
  void measure(int owner, int k) {
    const std::ptrdiff_t actor_share = actors_.trunks * actor_.size;
    norms_[static_cast<std::size_t>(2 * k)] =
        std::sqrt(passes_.square_norm(actor_.gradient + owner * actor_share, actor_share));
    norms_[static_cast<std::size_t>(2 * k + 1)] =
        std::sqrt(passes_.square_norm(critic_.gradient + owner * critic_.size, critic_.size));
  }

  /// Limit, Adam and what happened, unless something is not finite; for owners that have rows.
  Failure take(const Samples& samples, const Objective& objective, int first, int last,
               std::int64_t chunks, Statistics* statistics) {
    const Failure failure = check(samples, objective, first, last, chunks);
    if (failure.owner >= 0) return failure;
    each(last - first, touched(last - first), [&](std::int64_t k, float*) {
      if (part_of(static_cast<int>(k)).total == 0) return;
      const int owner = first + static_cast<int>(k);
      advance(actor_, owner, actors_.trunks, norms_[static_cast<std::size_t>(2 * k)]);
      advance(critic_, owner, 1, norms_[static_cast<std::size_t>(2 * k + 1)]);
    });
    for (int k = 0; k < last - first; ++k) {
      if (part_of(k).total == 0) continue;
      collect(statistics[first + k], sums_.data() + k * chunks * kColumns, k, part_of(k).total);
    }
    return {};
  }

  /// The memory for gradients by episode of the worker whose scratch memory this is.
  float* apart_of(const float* scratch) {
    std::size_t worker = 0;
    while (scratch_[worker].data() != scratch) ++worker;
    return apart_[worker].data();
  }

  /// Packed parameters of an agent of the group that is being computed.
  float* actor_of(int owner) {
    const std::ptrdiff_t place = owner - packed_from_;
    return packed_actor_.data() + place * actors_.trunks * sizes_.packed_actor;
  }
  float* critic_of(int owner) {
    return packed_critic_.data() + (owner - packed_from_) * sizes_.packed_critic;
  }

  /// Runs body(task, scratch) for every task; shares them if all of them are enough work.
  template <class Body>
  void each(std::int64_t tasks, std::int64_t work, Body&& body) {
    const auto workers = static_cast<std::int64_t>(pool_.num_threads());
    if (workers == 1 || tasks == 1 || work < kWorthSharing) {
      const FlushSubnormals here;
      for (std::int64_t k = 0; k < tasks; ++k) body(static_cast<int>(k), scratch_[0].data());
      return;
    }
    auto task = [this, body, tasks, workers](std::size_t worker) noexcept {
      const FlushSubnormals here;
      const auto w = static_cast<std::int64_t>(worker);
      for (std::int64_t k = tasks * w / workers; k < tasks * (w + 1) / workers; ++k) {
        body(static_cast<int>(k), scratch_[worker].data());
      }
    };
    pool_.run(task);
  }

  Failure check(const Samples& samples, const Objective& objective, int first, int last,
                std::int64_t chunks) const {
    for (int quantity = 0; quantity < 4; ++quantity) {
      for (int owner = first; owner < last; ++owner) {
        const auto k = static_cast<std::size_t>(owner - first);
        if (parts_[k].total == 0) continue;
        const auto rows = static_cast<double>(parts_[k].total);
        const double* sums = sums_.data() + static_cast<std::ptrdiff_t>(k) * chunks * (kSums + 1);
        const double scale = samples.advantage_scale != nullptr
                                 ? static_cast<double>(samples.advantage_scale[owner])
                                 : 0.0;
        const double weight = static_cast<double>(objective.penalty_weight) * scale;
        double value = 0.0;
        if (quantity == 0) {
          value = (sums[kPolicy] + weight * sums[kPenalty] -
                   static_cast<double>(objective.entropy_bonus) * sums[kEntropy]) /
                  rows;
        } else if (quantity == 1) {
          value = sums[kSums] / rows;
        } else {
          value = norms_[2 * k + static_cast<std::size_t>(quantity - 2)];
        }
        if (!std::isfinite(value)) return {owner, quantity, value};
      }
    }
    return {};
  }

  /// torch.optim.Adam on the rows of one agent, after its gradient limit.
  void advance(const Stack& stack, int owner, int networks, double norm) {
    float factor = 1.0f;
    if (stack.max_norm > 0.0f) {
      factor = std::min(1.0f, stack.max_norm / (static_cast<float>(norm) + 1e-12f));
    }
    const float taken = stack.steps[owner] += 1.0f;
    const double t = static_cast<double>(taken);
    const AdamStep step{
        .lr = stack.lr,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .eps = stack.eps,
        .correction1 = static_cast<float>(1.0 - std::pow(0.9, t)),
        .correction2_root = static_cast<float>(std::sqrt(1.0 - std::pow(0.999, t)))};
    const std::ptrdiff_t size = networks * stack.size, at = owner * size;
    passes_.adam(stack.parameter + at, stack.gradient + at, stack.first + at, stack.second + at,
                 size, factor, step);
  }

  void collect(Statistics& to, const double* sums, int k, std::int64_t count) const {
    const auto rows = static_cast<double>(count);
    const double links = std::max(1.0, sums[kLinks]);
    for (int s = 0; s < kSums; ++s) to.sums[s] += sums[s] / rows;
    to.active_own += sums[kOwnActive] / links;
    to.active_peer += sums[kPeerActive] / links;
    to.gap += sums[kGap] / links;
    to.value_loss += sums[kSums] / rows;
    to.actor_norm += norms_[static_cast<std::size_t>(2 * k)];
    to.critic_norm += norms_[static_cast<std::size_t>(2 * k + 1)];
  }

  const Passes& passes_;
  Actors actors_;
  Stack actor_, critic_;
  Sizes sizes_;
  ThreadPool pool_;
  int group_ = 1;        ///< agents that are computed together
  int packed_from_ = 0;  ///< the first of those whose parameters are packed
  Floats packed_actor_, packed_critic_, partial_, kept_;
  std::vector<float*> kept_of_;  ///< per owner, into kept_; null where nothing is kept
  std::int64_t kept_rows_ = 0;
  std::vector<Floats> scratch_, apart_;
  std::vector<double> totals_;
  std::vector<double> sums_, norms_;
  std::vector<Part> parts_;                          ///< of the owners of a step
  std::vector<std::vector<std::int64_t>> own_rows_;  ///< what their indices point into
};

}  // namespace ascore::nn
