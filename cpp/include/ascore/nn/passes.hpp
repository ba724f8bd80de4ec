/// The passes over minibatches, for the instruction set of the including translation unit.
#pragma once

#include "ascore/nn/anticipated.hpp"
#include "ascore/nn/job.hpp"
#include "ascore/nn/loss.hpp"
#include "ascore/nn/mlp.hpp"

namespace ascore::nn {
inline namespace ASCORE_NN_ISA {

static_assert(kChunk % kBlock == 0);

/// The inputs of a block: all as floats, or only those that are not 0.
struct Inputs {
  float* x;
  float* value;
  std::int32_t* index;
  std::int32_t count[kBlock];
  Nonzeros nonzeros;
  bool sparse = false;

  const Nonzeros* few() const { return sparse ? &nonzeros : nullptr; }
};

/// One entry in this many, and it pays to go from one to the next: products of whole rows run at
/// several times the speed per number.
inline constexpr int kSparse = 8;

/// Bytes that are not 0 of a block; false, and nothing to be relied on, where they are too many.
inline bool read_nonzeros(const Observations& obs, std::int64_t view, const Block& block, int rows,
                          Inputs& in) {
  const std::int64_t stride = std::int64_t{obs.views} * obs.size;
  std::int64_t room = std::int64_t{block.rows} * obs.size / kSparse;
  for (int r = 0; r < block.rows; ++r) {
    const std::uint8_t* from = obs.bytes + block[r] * stride + view;
    std::int32_t* index = in.index + std::ptrdiff_t{r} * obs.size;
    float* value = in.value + std::ptrdiff_t{r} * obs.size;
    int found = 0;
    int k = 0;
    for (; k + 8 <= obs.size; k += 8) {
      std::uint64_t eight;
      __builtin_memcpy(&eight, from + k, 8);
      if (eight == 0) continue;
      for (int j = k; j < k + 8; ++j) {
        index[found] = j;
        value[found] = static_cast<float>(from[j]) * obs.scale;
        found += from[j] != 0 ? 1 : 0;
      }
    }
    for (; k < obs.size; ++k) {
      index[found] = k;
      value[found] = static_cast<float>(from[k]) * obs.scale;
      found += from[k] != 0 ? 1 : 0;
    }
    in.count[r] = found;
    room -= found;
    if (room < 0) return false;
  }
  for (int r = block.rows; r < rows; ++r) in.count[r] = 0;
  in.nonzeros = {in.count, in.index, in.value, obs.size};
  return true;
}

/// Observations of a block; rows without one are 0.
inline void read_block(const Observations& obs, int owner, const Block& block, int rows, int row,
                       Inputs& in) {
  const std::int64_t stride = std::int64_t{obs.views} * obs.size;
  const std::int64_t view = obs.views > 1 ? std::int64_t{owner} * obs.size : 0;
  in.sparse = obs.bytes != nullptr && read_nonzeros(obs, view, block, rows, in);
  if (in.sparse) return;
  for (int r = 0; r < block.rows; ++r) {
    const std::int64_t at = block[r] * stride + view;
    float* to = in.x + std::int64_t{r} * row;
    if (obs.bytes != nullptr) {
      for (int k = 0; k < obs.size; ++k) to[k] = static_cast<float>(obs.bytes[at + k]) * obs.scale;
    } else {
      for (int k = 0; k < obs.size; ++k) to[k] = obs.floats[at + k] * obs.scale;
    }
    for (int k = obs.size; k < row; ++k) to[k] = 0.0f;
  }
  for (std::int64_t k = std::int64_t{block.rows} * row; k < std::int64_t{rows} * row; ++k) {
    in.x[k] = 0.0f;
  }
}

/// Rows of a block that the products run over: whole tiles, or one.
inline int tile_rows(int rows) { return rows == 1 ? 1 : padded(rows, kTileRows); }

/// The last entry that was looked at may be written behind the last that is not 0.
inline constexpr int kSlack = 32;

/// Memory of `episodes_actor_pass` and `episodes_critic_pass` beside the scratch memory: gradients
/// of the episodes of a block, slopes laid out as activations, and those of the outputs.
inline std::ptrdiff_t episodes_size(const Plan& a, const Plan& c, const Actors& actors) {
  const std::ptrdiff_t of_actor = actors.trunks * a.gradient_size(), of_critic = c.gradient_size();
  const std::ptrdiff_t outputs = std::ptrdiff_t{actors.heads} * actors.actions + Tiles::kMargin;
  return kTogether * (of_actor > of_critic ? of_actor : of_critic) +
         actors.trunks * a.activations_size() + kBlock * outputs;
}

inline Sizes sizes(const Layers& actor, const Layers& critic, const Actors& actors) {
  const Plan a(actor), c(critic);
  const std::ptrdiff_t activations = actors.trunks * a.activations_size() > c.activations_size()
                                         ? actors.trunks * a.activations_size()
                                         : c.activations_size();
  return {a.packed_size(),
          c.packed_size(),
          a.gradient_size(),
          c.gradient_size(),
          3 * kBlock * a.row(0) + kSlack + activations + Tiles::size(actors),
          actors.trunks * a.activations_size(),
          episodes_size(a, c, actors),
          kBlock};
}

/// Scratch memory of a worker, cut up.
struct Scratch {
  Inputs in;
  float *activations, *tiles;

  Scratch(float* memory, const Plan& plan, int networks) {
    const std::ptrdiff_t inputs = std::ptrdiff_t{kBlock} * plan.row(0);
    in.x = memory;
    in.value = in.x + inputs;
    in.index = reinterpret_cast<std::int32_t*>(in.value + inputs + kSlack / 2);
    activations = in.value + 2 * inputs + kSlack;
    tiles = activations + networks * plan.activations_size();
  }
};

inline void pack_pass(const Layers& layers, const float* flat, float* packed) {
  Plan(layers).pack_network(flat, packed);
}

inline void unpack_pass(const Layers& layers, const float* gradient, float* flat) {
  Plan(layers).unpack_gradient(gradient, flat);
}

inline void add_pass(float* to, const float* from, std::ptrdiff_t count) {
  for (std::ptrdiff_t k = 0; k < count; ++k) to[k] += from[k];
}

/// Offers `body` the blocks that `count` rows fall into.
template <class Body>
inline void blocks(const std::int64_t* index, std::int64_t first, std::int64_t count, Body&& body) {
  for (std::int64_t done = 0; done < count; done += kBlock) {
    const std::int64_t left = count - done;
    const int rows = left < kBlock ? static_cast<int>(left) : kBlock;
    body(Block{index != nullptr ? index + done : nullptr, first + done, rows}, done);
  }
}

/// Runs the trunks of an owner; their outputs are in their activations.
inline void run_trunks(const Plan& plan, const Actors& actors, const Observations& obs, int owner,
                       const Block& block, const float* packed, Scratch& s) {
  const int rows = tile_rows(block.rows);
  read_block(obs, owner, block, rows, plan.row(0), s.in);
  for (int t = 0; t < actors.trunks; ++t) {
    plan.forward(packed + t * plan.packed_size(), s.in.x, s.in.few(), rows,
                 s.activations + t * plan.activations_size());
  }
}

/// Outputs of all heads into the tile x, a lane per row.
inline void read_outputs(const Plan& plan, const Actors& actors, const Scratch& s, Tiles& t) {
  const int used = plan.out(plan.depth() - 1), row = plan.row(plan.depth());
  for (int trunk = 0; trunk < actors.trunks; ++trunk) {
    const float* from =
        s.activations + trunk * plan.activations_size() + plan.activation(plan.depth() - 1);
    Lane* to = t.x + std::ptrdiff_t{trunk} * used;
    for (int r = 0; r < kBlock; r += 4) {
      for (int k = 0; k < used; k += 4) turn(from + r * row + k, row, &to[k][r], kBlock);
    }
  }
}

/// The gradient by the outputs back to where the outputs were; 0 where there is no row. Columns
/// behind the last output receive numbers that nobody reads.
inline void write_slopes(const Plan& plan, const Actors& actors, float* activations, Lane* slope,
                         int live, int rows) {
  const int used = plan.out(plan.depth() - 1), row = plan.row(plan.depth());
  for (int k = 0; k < actors.trunks * used; ++k) {
    for (int r = live; r < kBlock; ++r) slope[k][r] = 0.0f;
  }
  for (int trunk = 0; trunk < actors.trunks; ++trunk) {
    float* to = activations + trunk * plan.activations_size() + plan.activation(plan.depth() - 1);
    const Lane* from = slope + std::ptrdiff_t{trunk} * used;
    for (int r = 0; r < rows; r += 4) {
      for (int k = 0; k < used; k += 4) turn(&from[k][r], kBlock, to + r * row + k, row);
    }
  }
}

inline void log_probs_pass(const Layers& layers, const Actors& actors, const Observations& obs,
                           int owner, const float* packed, std::int64_t first, std::int64_t count,
                           float* out, float* keep, float* memory) {
  const Plan plan(layers);
  Scratch s(memory, plan, actors.trunks);
  Tiles t(actors, s.tiles);
  const int actions = actors.actions, wide = actors.heads * actions;
  blocks(nullptr, first, count, [&](const Block& block, std::int64_t done) {
    if (keep != nullptr) {
      s.activations = keep;
      keep += actors.trunks * plan.activations_size();
    }
    run_trunks(plan, actors, obs, owner, block, packed, s);
    read_outputs(plan, actors, s, t);
    for (int h = 0; h < actors.heads; ++h) {
      forbid(obs, actors, block, actors.subject(owner, h), t.x + h * actions);
      log_softmax(t.x + h * actions, t.p + h * actions, actions);
    }
    for (int r = 0; r < block.rows; ++r) {
      float* to = out + (done + r) * wide;
      for (int k = 0; k < wide; ++k) to[k] = t.x[k][r];
    }
  });
}

inline void values_pass(const Layers& layers, const Observations& obs, int owner,
                        const float* packed, std::int64_t first, std::int64_t count, float* out,
                        float* memory) {
  const Plan plan(layers);
  Scratch s(memory, plan, 1);
  blocks(nullptr, first, count, [&](const Block& block, std::int64_t done) {
    const int rows = tile_rows(block.rows);
    read_block(obs, owner, block, rows, plan.row(0), s.in);
    plan.forward(packed, s.in.x, s.in.few(), rows, s.activations);
    const float* last = s.activations + plan.activation(plan.depth() - 1);
    for (int r = 0; r < block.rows; ++r) {
      out[done + r] = last[std::ptrdiff_t{r} * plan.row(plan.depth())];
    }
  });
}

inline void actor_pass(const Layers& layers, const Actors& actors, const Samples& samples,
                       const Objective& objective, int owner, const std::int64_t* index,
                       std::int64_t first, std::int64_t count, std::int64_t minibatch,
                       const float* packed, float* kept, float* gradient, double* sums,
                       float* memory) {
  const Plan plan(layers);
  Scratch s(memory, plan, actors.trunks);
  Tiles t(actors, s.tiles);
  blocks(index, first, count, [&](const Block& block, std::int64_t) {
    if (kept != nullptr) {
      read_block(samples.obs, owner, block, tile_rows(block.rows), plan.row(0), s.in);
      s.activations = kept;
      kept += actors.trunks * plan.activations_size();
    } else {
      run_trunks(plan, actors, samples.obs, owner, block, packed, s);
    }
    read_outputs(plan, actors, s, t);
    objective_on_block(actors, samples, objective, owner, block, static_cast<float>(minibatch), t,
                       sums);
    const int rows = tile_rows(block.rows);
    write_slopes(plan, actors, s.activations, t.slope, block.rows, rows);
    for (int trunk = 0; trunk < actors.trunks; ++trunk) {
      plan.backward(packed + trunk * plan.packed_size(), s.in.x, s.in.few(), rows,
                    s.activations + trunk * plan.activations_size(),
                    gradient + trunk * plan.gradient_size());
    }
  });
}

/// Errors times `each` in place of the critic's outputs of a block; adds up their squares.
inline void write_errors(const Plan& plan, const Samples& samples, int owner, const Block& block,
                         int rows, float each, float* outputs, double* sum) {
  const int width = plan.row(plan.depth());
  for (int r = 0; r < rows; ++r) {
    float* to = outputs + std::ptrdiff_t{r} * width;
    float error = 0.0f;
    if (r < block.rows) error = to[0] - samples.target[owner * samples.rows + block[r]];
    *sum += static_cast<double>(error) * static_cast<double>(error);
    for (int k = 1; k < width; ++k) to[k] = 0.0f;
    to[0] = each * error;
  }
}

inline void critic_pass(const Layers& layers, const Samples& samples, int owner,
                        const std::int64_t* index, std::int64_t first, std::int64_t count,
                        std::int64_t minibatch, const float* packed, float* gradient, double* sum,
                        float* memory) {
  const Plan plan(layers);
  Scratch s(memory, plan, 1);
  blocks(index, first, count, [&](const Block& block, std::int64_t) {
    const int rows = tile_rows(block.rows);
    read_block(samples.obs, owner, block, rows, plan.row(0), s.in);
    plan.forward(packed, s.in.x, s.in.few(), rows, s.activations);
    write_errors(plan, samples, owner, block, rows, 2.0f / static_cast<float>(minibatch),
                 s.activations + plan.activation(plan.depth() - 1), sum);
    plan.backward(packed, s.in.x, s.in.few(), rows, s.activations, gradient);
  });
}

/// Offers `body` blocks of whole episodes, or parts of one that is longer than a block, with the
/// places of their gradients, `size` numbers each of `own`; then adds those, shortened, to `total`.
template <class Body, class Norm>
inline void each_episode(const Episodes& episodes, std::int64_t first, std::int64_t count,
                         std::ptrdiff_t size, double clip, float* own, double* total,
                         double* clipped, Body&& body, Norm&& square_norm) {
  const std::int64_t steps = episodes.steps, last = first + count;
  std::int64_t together = steps < kBlock ? kBlock / steps : 1;
  together = together < kTogether ? together : kTogether;
  std::int64_t index[kBlock];
  Portion portions[kTogether];
  for (std::int64_t e = first; e < last; e += together) {
    const int here = static_cast<int>(e + together < last ? together : last - e);
    for (std::ptrdiff_t k = 0; k < here * size; ++k) own[k] = 0.0f;
    for (std::int64_t from = 0; from < steps; from += kBlock) {
      const int rows = static_cast<int>(steps - from < kBlock ? steps - from : kBlock);
      for (int k = 0; k < here; ++k) {
        portions[k] = {k * rows, rows, own + k * size};
        for (int r = 0; r < rows; ++r) index[k * rows + r] = (from + r) * episodes.count + e + k;
      }
      body(Block{index, 0, here * rows}, portions, here);
    }
    for (int k = 0; k < here; ++k) {
      const float* gradient = own + k * size;
      const double norm = __builtin_sqrt(square_norm(gradient));
      if (!(norm <= clip)) *clipped += 1.0;
      if (!__builtin_isfinite(norm)) continue;
      const double factor = norm > clip ? clip / norm : 1.0;
      for (std::ptrdiff_t j = 0; j < size; ++j) {
        total[j] += factor * static_cast<double>(gradient[j]);
      }
    }
  }
}

inline void episodes_actor_pass(const Layers& layers, const Actors& actors, const Samples& samples,
                                const Objective& objective, int owner, const Episodes& episodes,
                                std::int64_t first, std::int64_t count, double clip,
                                const float* packed, double* total, float* open, double* sums,
                                double* clipped, float* memory, float* apart) {
  const Plan plan(layers);
  Scratch s(memory, plan, actors.trunks);
  Tiles t(actors, s.tiles);
  const std::ptrdiff_t each = plan.gradient_size(), size = actors.trunks * each;
  float* slopes = apart + kTogether * size;
  t.apart = reinterpret_cast<Lane*>(slopes + actors.trunks * plan.activations_size());
  const bool penalised = objective.kind == Objective::kAnticipation && objective.penalty_weight > 0;
  const bool more = penalised || objective.entropy_bonus > 0.0f;
  each_episode(
      episodes, first, count, size, clip, apart, total, clipped,
      [&](const Block& block, const Portion* portions, int here) {
        run_trunks(plan, actors, samples.obs, owner, block, packed, s);
        read_outputs(plan, actors, s, t);
        objective_on_block(actors, samples, objective, owner, block,
                           static_cast<float>(episodes.steps), t, sums);
        const int rows = tile_rows(block.rows);
        write_slopes(plan, actors, slopes, t.apart, block.rows, rows);
        for (int trunk = 0; trunk < actors.trunks; ++trunk) {
          Portion own[kTogether];
          for (int k = 0; k < here; ++k) {
            own[k] = portions[k];
            own[k].gradient += trunk * each;
          }
          const std::ptrdiff_t at = trunk * plan.activations_size();
          plan.backward(packed + trunk * plan.packed_size(), s.in.x, s.in.few(), rows,
                        s.activations + at, slopes + at, own, here);
        }
        if (!more) return;
        write_slopes(plan, actors, s.activations, t.slope, block.rows, rows);
        for (int trunk = 0; trunk < actors.trunks; ++trunk) {
          plan.backward(packed + trunk * plan.packed_size(), s.in.x, s.in.few(), rows,
                        s.activations + trunk * plan.activations_size(), open + trunk * each);
        }
      },
      [&](const float* gradient) {
        double sum = 0.0;
        for (int trunk = 0; trunk < actors.trunks; ++trunk) {
          sum += plan.square_norm(gradient + trunk * each);
        }
        return sum;
      });
}

inline void episodes_critic_pass(const Layers& layers, const Samples& samples, int owner,
                                 const Episodes& episodes, std::int64_t first, std::int64_t count,
                                 double clip, const float* packed, double* total, double* sum,
                                 double* clipped, float* memory, float* apart) {
  const Plan plan(layers);
  Scratch s(memory, plan, 1);
  each_episode(
      episodes, first, count, plan.gradient_size(), clip, apart, total, clipped,
      [&](const Block& block, const Portion* portions, int here) {
        const int rows = tile_rows(block.rows);
        read_block(samples.obs, owner, block, rows, plan.row(0), s.in);
        plan.forward(packed, s.in.x, s.in.few(), rows, s.activations);
        write_errors(plan, samples, owner, block, rows, 2.0f / static_cast<float>(episodes.steps),
                     s.activations + plan.activation(plan.depth() - 1), sum);
        plan.backward(packed, s.in.x, s.in.few(), rows, s.activations, s.activations, portions,
                      here);
      },
      [&](const float* gradient) { return plan.square_norm(gradient); });
}

inline void unpack_total_pass(const Layers& layers, const double* total, double* flat) {
  Plan(layers).unpack_gradient(total, flat);
}

/// Draws an action by inverse transform from logits [width], of which `actions` count: the
/// arithmetic of `act_pass`, with a lane per action instead of one per row.
inline std::int32_t draw(const float* logits, int actions, int width, float uniform, float* p,
                         float* log_probs) {
  float peak = logits[0];
  for (int a = 1; a < actions; ++a) peak = logits[a] > peak ? logits[a] : peak;
  for (int a = 0; a < width; ++a) p[a] = exp(logits[a] - peak);
  for (int a = 1; a < actions; ++a) p[a] = p[a] + p[a - 1];
  const float threshold = uniform * p[actions - 1];
  std::int32_t chosen = 0;
  for (int a = 0; a + 1 < actions; ++a) chosen += p[a] <= threshold ? 1 : 0;
  if (log_probs != nullptr) {
    const float total = log(p[actions - 1]);
    for (int a = 0; a < actions; ++a) log_probs[a] = logits[a] - peak - total;
  }
  return chosen;
}

/// `act_pass` of one environment: the networks of several agents side by side.
inline void act_once(const Plan& plan, int agents, const Observations& obs, const float* packed,
                     const float* uniform, std::int32_t* action, float* out, Scratch& s) {
  const int last = plan.depth() - 1, row = plan.row(plan.depth());
  const Block block{nullptr, 0, 1};
  const auto together = [&]<int Nets>(int first) {
    if (first == 0 || obs.views > 1) read_block(obs, first, block, 1, plan.row(0), s.in);
    plan.forward_row<Nets>(packed + first * plan.packed_size(), s.in.x, s.in.few(), s.activations);
    for (int n = 0; n < Nets; ++n) {
      action[first + n] = draw(s.activations + plan.activation(last) + std::ptrdiff_t{n} * row,
                               plan.out(last), plan.width(last), uniform[first + n], s.tiles,
                               out != nullptr ? out + (first + n) * plan.out(last) : nullptr);
    }
  };
  int i = 0;
  if (obs.views == 1) {
    for (; i + kNets <= agents; i += kNets) together.template operator()<kNets>(i);
    if (i + 3 <= agents) {
      together.template operator()<3>(i);
      i += 3;
    } else if (i + 2 <= agents) {
      together.template operator()<2>(i);
      i += 2;
    }
  }
  for (; i < agents; ++i) together.template operator()<1>(i);
}

inline void act_pass(const Layers& layers, int agents, const Observations& obs, const float* packed,
                     std::int64_t count, const float* uniform, std::int32_t* action, float* out,
                     float* memory) {
  const Plan plan(layers);
  Scratch s(memory, plan, 1);
  if (count == 1) return act_once(plan, agents, obs, packed, uniform, action, out, s);
  const int actions = plan.out(plan.depth() - 1), row = plan.row(plan.depth());
  blocks(nullptr, 0, count, [&](const Block& block, std::int64_t) {
    const int rows = tile_rows(block.rows), lanes = padded(block.rows, kLanes);
    for (int i = 0; i < agents; ++i) {
      if (i == 0 || obs.views > 1) read_block(obs, i, block, rows, plan.row(0), s.in);
      plan.forward(packed + i * plan.packed_size(), s.in.x, s.in.few(), rows, s.activations);
      const float* logits = s.activations + plan.activation(plan.depth() - 1);
      Lane* p = reinterpret_cast<Lane*>(s.tiles);  // cumulated, not normalised
      Lane* x = p + actions;
      Lane peak, threshold, chosen;
      for (int r = 0; r < lanes; ++r) peak[r] = chosen[r] = threshold[r] = 0.0f;
      for (int r = 0; r < block.rows; ++r) {
        const float* from = logits + std::ptrdiff_t{r} * row;
        float most = from[0];
        for (int a = 1; a < actions; ++a) most = from[a] > most ? from[a] : most;
        peak[r] = most;
        threshold[r] = uniform[block[r] * agents + i];
      }
      turn_all([&](int r) { return logits + std::ptrdiff_t{r} * row; }, block.rows, actions, *x,
               kBlock);
      for (int a = 0; a < actions; ++a) {
        for (int r = block.rows; r < lanes; ++r) x[a][r] = 0.0f;
        for (int r = 0; r < lanes; ++r) {
          x[a][r] -= peak[r];
          p[a][r] = exp(x[a][r]) + (a > 0 ? p[a - 1][r] : 0.0f);
        }
      }
      if (out != nullptr) {
        for (int r = 0; r < lanes; ++r) peak[r] = log(p[actions - 1][r]);
        for (int a = 0; a < actions; ++a) {
          for (int r = 0; r < lanes; ++r) x[a][r] -= peak[r];
        }
        const std::ptrdiff_t wide = std::ptrdiff_t{agents} * actions;
        turn_all([&](int a) { return x[a]; }, actions, block.rows,
                 out + block.first * wide + std::ptrdiff_t{i} * actions, wide);
      }
      for (int r = 0; r < lanes; ++r) threshold[r] *= p[actions - 1][r];
      for (int a = 0; a + 1 < actions; ++a) {
        for (int r = 0; r < lanes; ++r) chosen[r] += p[a][r] <= threshold[r] ? 1.0f : 0.0f;
      }
      for (int r = 0; r < block.rows; ++r) {
        action[block[r] * agents + i] = static_cast<std::int32_t>(chosen[r]);
      }
    }
  });
}

inline double square_norm_pass(const float* x, std::ptrdiff_t count) {
  double lanes[8] = {};
  std::ptrdiff_t k = 0;
  for (; k + 8 <= count; k += 8) {
    for (int j = 0; j < 8; ++j) {
      lanes[j] += static_cast<double>(x[k + j]) * static_cast<double>(x[k + j]);
    }
  }
  for (; k < count; ++k) lanes[0] += static_cast<double>(x[k]) * static_cast<double>(x[k]);
  double sum = 0.0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

inline void adam_pass(float* parameter, const float* gradient, float* first, float* second,
                      std::ptrdiff_t count, float factor, const AdamStep& s) {
  const float rate = s.lr / s.correction1;
  for (std::ptrdiff_t k = 0; k < count; ++k) {
    const float g = gradient[k] * factor;
    first[k] = s.beta1 * first[k] + (1.0f - s.beta1) * g;
    second[k] = s.beta2 * second[k] + (1.0f - s.beta2) * g * g;
    const float root = __builtin_sqrtf(second[k]) / s.correction2_root + s.eps;
    parameter[k] -= rate * first[k] / root;
  }
}

inline float peak_pass(std::int64_t rounds) {
  Vector sum[kTileRows][kTileVectors];
  for (auto& row : sum) {
    for (auto& v : row) v = Vector{};
  }
  Vector right[kTileVectors];
  for (auto& v : right) v = Vector{} + 1e-3f;
  float left[kTileRows] = {0.5f, 0.25f, 0.125f, 0.75f, 0.375f, 0.875f};
  for (std::int64_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 8
    for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kTileVectors; ++j) sum[i][j] += right[j] * left[i];
    }
  }
  Vector all{};
  for (auto& row : sum) {
    for (auto& v : row) all += v;
  }
  float out = 0.0f;
  for (int l = 0; l < kLanes; ++l) out += all[l];
  return out;
}

constexpr Passes passes(const char* name) {
  return {.name = name,
          .lanes = kLanes,
          .sizes = &sizes,
          .pack = &pack_pass,
          .unpack_gradient = &unpack_pass,
          .add = &add_pass,
          .log_probs = &log_probs_pass,
          .values = &values_pass,
          .actor = &actor_pass,
          .critic = &critic_pass,
          .episodes_actor = &episodes_actor_pass,
          .episodes_critic = &episodes_critic_pass,
          .unpack_total = &unpack_total_pass,
          .act = &act_pass,
          .anticipated = &anticipated_pass,
          .square_norm = &square_norm_pass,
          .adam = &adam_pass,
          .peak = &peak_pass,
          .peak_operations = 2 * kTileRows * kTileVectors * kLanes};
}

}  // namespace ASCORE_NN_ISA
}  // namespace ascore::nn
