/// The objectives on a block of rows: values, gradient by the logits, statistics. Each lane of
/// every loop is a row; nothing looks across rows.
///
/// Eq. 13-16 for Anticipation Sharing; the clipped surrogate of the own head, or of all heads.
#pragma once

#include "ascore/legal.hpp"
#include "ascore/nn/job.hpp"
#include "ascore/nn/simd.hpp"

namespace ascore::nn {
inline namespace ASCORE_NN_ISA {

using Lane = float[kBlock];

/// Tiles of one worker: [slot][action] lanes each.
struct Tiles {
  Lane* x;                ///< [H * A], logits, then log-probabilities
  Lane* p;                ///< [H * A]
  Lane* slope;            ///< [H * A]
  Lane* log_policy;       ///< [H * A], what every subject sent about itself
  Lane* policy;           ///< [H * A]
  Lane* log_wish;         ///< [A]
  Lane* wish;             ///< [A]
  Lane* pull;             ///< [A]
  Lane* acted;            ///< [H], the subject's action as a number
  Lane* hears;            ///< [H], 0 or 1
  Lane* count;            ///< [H], rows in which it is heard, in the first lane
  Lane* work;             ///< kWork
  Lane* apart = nullptr;  ///< [H * A], the slope that rewards decide; null: it is part of `slope`
  static constexpr int kWork = 14;
  /// Slots behind x and slope that whole blocks of four may touch.
  static constexpr int kMargin = 3;

  static std::ptrdiff_t size(const Actors& actors) {
    const std::ptrdiff_t a = actors.actions, h = actors.heads;
    return kBlock * (5 * h * a + 2 * kMargin + 3 * a + 3 * h + kWork);
  }

  Tiles(const Actors& actors, float* memory) {
    const int a = actors.actions, h = actors.heads;
    const auto next = [&](int count) {
      Lane* here = reinterpret_cast<Lane*>(memory);
      memory += std::ptrdiff_t{kBlock} * count;
      return here;
    };
    x = next(h * a + kMargin);
    p = next(h * a);
    slope = next(h * a + kMargin);
    log_policy = next(h * a);
    policy = next(h * a);
    log_wish = next(a);
    wish = next(a);
    pull = next(a);
    acted = next(h);
    hears = next(h);
    count = next(h);
    work = next(kWork);
  }
};

inline void log_softmax(Lane* x, Lane* p, int actions) {
  Lane peak, total;
  for (int r = 0; r < kBlock; ++r) {
    peak[r] = x[0][r];
    total[r] = 0.0f;
  }
  for (int a = 1; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) peak[r] = x[a][r] > peak[r] ? x[a][r] : peak[r];
  }
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) {
      x[a][r] -= peak[r];
      p[a][r] = exp(x[a][r]);
      total[r] += p[a][r];
    }
  }
  for (int r = 0; r < kBlock; ++r) {
    peak[r] = log(total[r]);
    total[r] = 1.0f / total[r];
  }
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) {
      x[a][r] -= peak[r];
      p[a][r] *= total[r];
    }
  }
}

/// out[r] = x[acted[r]][r].
inline void pick(const Lane* x, int actions, const Lane& acted, Lane& out) {
  for (int r = 0; r < kBlock; ++r) out[r] = x[0][r];
  for (int a = 1; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) {
      out[r] = acted[r] == static_cast<float>(a) ? x[a][r] : out[r];
    }
  }
}

/// Indicator of Eq. 14-15 as 0 or 1: ratio * A >= A, decided on signs; 0 where not heard.
inline void gate(const Lane& ours, const Lane& theirs, const Lane& advantage, const Lane& hears,
                 bool gated, Lane& active) {
  if (!gated) {
    for (int r = 0; r < kBlock; ++r) active[r] = hears[r];
    return;
  }
  for (int r = 0; r < kBlock; ++r) {
    // The smaller of gap and its sign towards A: rises with A > 0, falls with A < 0.
    const float gap = ours[r] - theirs[r], size = advantage[r];
    const float up = gap >= 0.0f ? 1.0f : 0.0f, down = gap <= 0.0f ? 1.0f : 0.0f;
    const float sided = size > 0.0f ? up : down;
    active[r] = hears[r] * (size == 0.0f ? 1.0f : sided);
  }
}

/// distance of two distributions; where active, the pull of q on p is added to `pull`.
inline void draw(const Lane* p, const Lane* log_p, const Lane* q, const Lane* log_q, int actions,
                 bool kl, const Lane& active, Lane* pull, Lane& distance) {
  for (int r = 0; r < kBlock; ++r) distance[r] = 0.0f;
  for (int a = 0; a < actions; ++a) {
    if (kl) {
      for (int r = 0; r < kBlock; ++r) {
        distance[r] += q[a][r] * (log_q[a][r] - log_p[a][r]);
        pull[a][r] -= active[r] > 0.0f ? q[a][r] : 0.0f;
      }
    } else {
      for (int r = 0; r < kBlock; ++r) {
        const float gap = p[a][r] - q[a][r];
        distance[r] += gap * gap;
        pull[a][r] += active[r] > 0.0f ? gap : 0.0f;
      }
    }
  }
}

/// slope = gradient on the logits of what `pull` has gathered: weight * 2 p (d - p.d) of squared
/// L2, weight * (d - p sum(d)) of KL. Clears `pull`.
inline void push(const Lane* p, Lane* pull, int actions, bool kl, float weight, Lane* slope) {
  Lane total;
  for (int r = 0; r < kBlock; ++r) total[r] = 0.0f;
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) total[r] += kl ? pull[a][r] : pull[a][r] * p[a][r];
  }
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) {
      const float d = pull[a][r];
      slope[a][r] =
          kl ? weight * (d - total[r] * p[a][r]) : weight * (2.0f * p[a][r] * (d - total[r]));
      pull[a][r] = 0.0f;
    }
  }
}

/// Adds the gradient of size * log p(a) of the action taken: size * (1[a taken] - p).
inline void step(const Lane* p, int actions, const Lane& acted, const Lane& size, Lane* slope) {
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) {
      const float one = acted[r] == static_cast<float>(a) ? 1.0f : 0.0f;
      slope[a][r] += size[r] * (one - p[a][r]);
    }
  }
}

/// Adds the lanes that are rows, in order.
inline double total(const Lane& x, int rows) {
  double sum = 0.0;
  for (int r = 0; r < rows; ++r) sum += static_cast<double>(x[r]);
  return sum;
}

/// First term of Eq. 16 and its derivatives by both log ratios, negated, over `minibatch` rows.
/// What is clipped is decided on the ratio; outside, equal products share the gradient.
inline void surrogate(const Lane& log_ratio, const Lane& log_peers, const Lane& advantage,
                      const Objective& objective, float minibatch, int rows, Lane& own_size,
                      Lane& peer_size, double* sums) {
  const float clip = objective.clip_epsilon, low = 1.0f - clip, high = 1.0f + clip;
  const float each = -1.0f / minibatch;
  Lane gain, held, excess, beyond;
  for (int r = 0; r < kBlock; ++r) {
    const float ratio = exp(log_ratio[r]), raw = exp(log_peers[r]);
    float peers = raw < objective.peer_low ? objective.peer_low : raw;
    peers = peers > objective.peer_high ? objective.peer_high : peers;
    float bounded = ratio < low ? low : ratio;
    bounded = bounded > high ? high : bounded;
    const bool inside = (ratio >= low) & (ratio <= high);
    const bool free = (raw >= objective.peer_low) & (raw <= objective.peer_high);
    const float weighted = peers * advantage[r];
    const float first = ratio * weighted, second = bounded * weighted;
    float least = first < second ? first : second;
    least = first != first ? first : least;
    float share = first == second ? 0.5f : 0.0f;
    share = first < second ? 1.0f : share;
    const float mixed = share * ratio + (1.0f - share) * bounded;
    const float factor = inside ? ratio : mixed;
    share = inside ? 1.0f : share;
    own_size[r] = each * weighted * share * ratio;
    peer_size[r] = free ? each * factor * advantage[r] * raw : 0.0f;
    gain[r] = -least;
    held[r] = peers;
    excess[r] = ratio - 1.0f - log_ratio[r];
    const float off = ratio - 1.0f;
    beyond[r] = (off < 0.0f ? -off : off) > clip ? 1.0f : 0.0f;
  }
  sums[kPolicy] += total(gain, rows);
  sums[kPeerRatio] += total(held, rows);
  sums[kKl] += total(excess, rows);
  sums[kClipped] += total(beyond, rows);
}

/// Entropy of a head and, times the bonus, its gradient.
inline void entropy(const Lane* p, const Lane* log_p, int actions, float weight, int rows,
                    Lane* slope, double* sums) {
  Lane sum;
  for (int r = 0; r < kBlock; ++r) sum[r] = 0.0f;
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) sum[r] -= p[a][r] * log_p[a][r];
  }
  sums[kEntropy] += total(sum, rows);
  if (weight == 0.0f) return;
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) slope[a][r] += weight * p[a][r] * (log_p[a][r] + sum[r]);
  }
}

/// Which rows of the batch a block holds.
struct Block {
  const std::int64_t* index;  ///< of the block, or null: rows first, first + 1, ...
  std::int64_t first;
  int rows;

  std::int64_t operator[](int r) const { return index != nullptr ? index[r] : first + r; }
};

/// Sets the logits of a subject's actions that are not legal.
inline void forbid(const Observations& obs, const Actors& actors, const Block& block, int subject,
                   Lane* x) {
  if (obs.legal == nullptr || subject < 0) return;
  for (int r = 0; r < block.rows; ++r) {
    const std::uint8_t* legal = obs.legal + (block[r] * actors.known() + subject) * actors.actions;
    for (int a = 0; a < actors.actions; ++a) x[a][r] = legal[a] != 0 ? x[a][r] : kIllegal;
  }
}

/// One distribution of a message, that of a head of its sender, into a tile, with its
/// probabilities.
inline void receive(const Samples& samples, const Actors& actors, const Block& block, int sender,
                    int sent_head, Lane* log_q, Lane* q) {
  const std::int64_t row = std::int64_t{actors.heads} * actors.actions;
  const float* from = samples.sent + sender * samples.rows * row + sent_head * actors.actions;
  for (int r = 0; r < block.rows; ++r) {
    const float* at = from + block[r] * row;
    for (int a = 0; a < actors.actions; ++a) log_q[a][r] = at[a];
  }
  for (int a = 0; a < actors.actions; ++a) {
    for (int r = block.rows; r < kBlock; ++r) log_q[a][r] = 0.0f;
    for (int r = 0; r < kBlock; ++r) q[a][r] = exp(log_q[a][r]);
  }
}

/// The objective of one owner on one block. The tile `x` holds logits; `slope` receives the
/// gradient, of lanes without a row too, where nobody may read it.
inline void objective_on_block(const Actors& actors, const Samples& samples,
                               const Objective& objective, int owner, const Block& block,
                               float minibatch, Tiles& t, double* sums) {
  const int actions = actors.actions, heads = actors.heads, rows = block.rows;
  const std::int64_t known = actors.known();
  const int own = actors.own_head(owner);
  Lane &advantage = t.work[0], &log_ratio = t.work[1], &log_peers = t.work[2], &fresh = t.work[3];
  Lane &own_fresh = t.work[4], &theirs = t.work[5], &active = t.work[6], &distance = t.work[7];
  Lane &own_size = t.work[8], &peer_size = t.work[9], &size = t.work[10], &reference = t.work[11];
  Lane& penalty = t.work[12];
  const auto head = [&](Lane* tile, int h) { return tile + std::ptrdiff_t{h} * actions; };
  const auto old = [&](int agent, int r, int h) {
    return samples.old[(agent * samples.rows + block[r]) * heads + h];
  };
  const auto announced = [&](int agent, int r) {
    return samples.announced != nullptr ? samples.announced[agent * samples.rows + block[r]]
                                        : old(agent, r, actors.own_head(agent));
  };

  for (int r = 0; r < kBlock; ++r) {
    advantage[r] = r < rows ? samples.advantage[owner * samples.rows + block[r]] : 0.0f;
    log_ratio[r] = log_peers[r] = penalty[r] = 0.0f;
  }
  for (int h = 0; h < heads; ++h) {
    const int j = actors.subject(owner, h);
    if (j < 0) continue;
    for (int r = 0; r < kBlock; ++r) {
      t.acted[h][r] = r < rows ? static_cast<float>(samples.action[block[r] * known + j]) : 0.0f;
    }
  }
  if (objective.corrects) {
    for (int h = 0; h < heads; ++h) {
      const int j = actors.subject(owner, h);
      if (h == own || j < 0) continue;
      Lane* x = head(t.x, h);
      receive(samples, actors, block, j, actors.own_head(j), head(t.log_policy, h),
              head(t.policy, h));
      for (int a = 0; a < actions; ++a) {
        for (int r = 0; r < kBlock; ++r) x[a][r] += head(t.log_policy, h)[a][r];
      }
    }
  }
  for (int h = 0; h < heads; ++h) {
    const int j = actors.subject(owner, h);
    if (j < 0) continue;
    forbid(samples.obs, actors, block, j, head(t.x, h));
    log_softmax(head(t.x, h), head(t.p, h), actions);
  }
  for (int k = 0; k < heads * actions; ++k) {
    for (int r = 0; r < kBlock; ++r) t.slope[k][r] = 0.0f;
  }
  Lane* rewarded = t.slope;
  if (t.apart != nullptr) {
    rewarded = t.apart;
    for (int k = 0; k < heads * actions; ++k) {
      for (int r = 0; r < kBlock; ++r) rewarded[k][r] = 0.0f;
    }
  }

  if (objective.kind != Objective::kAnticipation) {
    for (int h = 0; h < heads; ++h) {
      if (objective.kind == Objective::kOwnHead && h != own) continue;
      pick(head(t.x, h), actions, t.acted[h], fresh);
      for (int r = 0; r < rows; ++r) log_ratio[r] += fresh[r] - old(owner, r, h);
    }
    surrogate(log_ratio, log_peers, advantage, objective, minibatch, rows, own_size, peer_size,
              sums);
    for (int h = 0; h < heads; ++h) {
      if (objective.kind == Objective::kOwnHead && h != own) continue;
      step(head(t.p, h), actions, t.acted[h], own_size, head(rewarded, h));
    }
    entropy(head(t.p, own), head(t.x, own), actions, objective.entropy_bonus / minibatch, rows,
            head(t.slope, own), sums);
    return;
  }

  const float weight = objective.penalty_weight * samples.advantage_scale[owner] / minibatch;
  for (int a = 0; a < actions; ++a) {
    for (int r = 0; r < kBlock; ++r) t.pull[a][r] = 0.0f;
  }
  for (int h = 0; h < heads; ++h) {
    const std::uint8_t* link = samples.heard + std::int64_t{owner} * heads + h;
    for (int r = 0; r < kBlock; ++r) {
      t.hears[h][r] = r < rows && link[block[r] * samples.heard_row] != 0 ? 1.0f : 0.0f;
    }
  }
  pick(head(t.x, own), actions, t.acted[own], own_fresh);
  for (int r = 0; r < rows; ++r) log_ratio[r] = own_fresh[r] - old(owner, r, own);

  // The own head against what each neighbour wishes of it.
  double links = 0.0;
  const auto anyone = [&t](int h) { return t.count[h][0] > 0.0f; };
  for (int h = 0; h < heads; ++h) {
    const double count = total(t.hears[h], rows);
    links += count;
    t.count[h][0] = static_cast<float>(count);
    if (!anyone(h)) continue;
    receive(samples, actors, block, actors.subject(owner, h), actors.back_head(owner, h),
            t.log_wish, t.wish);
    pick(t.log_wish, actions, t.acted[own], theirs);
    gate(own_fresh, theirs, advantage, t.hears[h], objective.gated, active);
    sums[kOwnActive] += total(active, rows);
    draw(head(t.p, own), head(t.x, own), t.wish, t.log_wish, actions, objective.kl, active, t.pull,
         distance);
    for (int r = 0; r < kBlock; ++r) penalty[r] += active[r] > 0.0f ? distance[r] : 0.0f;
  }
  sums[kLinks] += links;
  push(head(t.p, own), t.pull, actions, objective.kl, weight, head(t.slope, own));
  entropy(head(t.p, own), head(t.x, own), actions, objective.entropy_bonus / minibatch, rows,
          head(t.slope, own), sums);

  // Anticipations against what their subjects do.
  for (int h = 0; h < heads; ++h) {
    if (!anyone(h)) continue;
    const int j = actors.subject(owner, h), theirs_head = actors.own_head(j);
    Lane *policy = head(t.policy, h), *log_policy = head(t.log_policy, h);
    if (!objective.corrects) receive(samples, actors, block, j, theirs_head, log_policy, policy);
    pick(log_policy, actions, t.acted[h], theirs);
    pick(head(t.x, h), actions, t.acted[h], fresh);
    for (int r = 0; r < rows; ++r) {
      reference[r] = objective.printed ? old(owner, r, h) : announced(j, r);
    }
    for (int r = 0; r < rows; ++r) {
      log_peers[r] += t.hears[h][r] > 0.0f ? fresh[r] - reference[r] : 0.0f;
    }
    gate(fresh, theirs, advantage, t.hears[h], objective.gated, active);
    sums[kPeerActive] += total(active, rows);
    draw(head(t.p, h), head(t.x, h), policy, log_policy, actions, objective.kl, active, t.pull,
         distance);
    for (int r = 0; r < kBlock; ++r) penalty[r] += active[r] > 0.0f ? distance[r] : 0.0f;
    if (objective.kl) {
      for (int r = 0; r < kBlock; ++r) distance[r] = 0.0f;
      for (int a = 0; a < actions; ++a) {
        for (int r = 0; r < kBlock; ++r) {
          const float gap = head(t.p, h)[a][r] - policy[a][r];
          distance[r] += gap * gap;
        }
      }
    }
    for (int r = 0; r < kBlock; ++r) distance[r] = t.hears[h][r] > 0.0f ? distance[r] : 0.0f;
    sums[kGap] += total(distance, rows);
    push(head(t.p, h), t.pull, actions, objective.kl, weight, head(t.slope, h));
  }
  sums[kPenalty] += total(penalty, rows);

  surrogate(log_ratio, log_peers, advantage, objective, minibatch, rows, own_size, peer_size, sums);
  step(head(t.p, own), actions, t.acted[own], own_size, head(rewarded, own));
  for (int h = 0; h < heads; ++h) {
    if (!anyone(h)) continue;
    for (int r = 0; r < kBlock; ++r) size[r] = t.hears[h][r] > 0.0f ? peer_size[r] : 0.0f;
    step(head(t.p, h), actions, t.acted[h], size, head(rewarded, h));
  }
}

}  // namespace ASCORE_NN_ISA
}  // namespace ascore::nn
