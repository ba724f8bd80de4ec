/// Policies that act: N networks of equal sizes, one per agent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ascore/nn/choose.hpp"
#include "ascore/nn/floats.hpp"
#include "ascore/nn/job.hpp"

namespace ascore::nn {

class Acting {
 public:
  /// Networks of `layers`, whose outputs are logits; used by at most `workers` threads at a time.
  Acting(const Layers& layers, int agents, std::size_t workers, std::string_view instruction_set)
      : passes_(choose_passes(instruction_set)), layers_(layers), agents_(agents) {
    layers_.forward_only = true;
    // Each network alone is an actor with one head; the critic's sizes are not used.
    const Actors one{.agents = 1, .trunks = 1, .heads = 1, .actions = layers.sizes[layers.count]};
    const Sizes sizes = passes_.sizes(layers_, layers_, one);
    packed_size_ = sizes.packed_actor;
    packed_.resize(static_cast<std::size_t>(agents * packed_size_));
    scratch_size_ = static_cast<std::size_t>(sizes.scratch);
    provide(workers);
  }

  /// Memory for at least so many threads at a time.
  void provide(std::size_t workers) {
    if (workers <= scratch_.size()) return;
    scratch_.resize(workers);
    for (Floats& memory : scratch_) memory.resize(scratch_size_);
  }

  int agents() const noexcept { return agents_; }
  int obs_size() const noexcept { return layers_.sizes[0]; }
  int num_actions() const noexcept { return layers_.sizes[layers_.count]; }
  std::size_t workers() const noexcept { return scratch_.size(); }

  /// Takes parameters f32 [N, P]: per layer weight [in, out], then bias [out].
  void load(std::span<const float> flat) {
    const std::size_t size = flat.size() / static_cast<std::size_t>(agents_);
    for (int i = 0; i < agents_; ++i) {
      passes_.pack(layers_, flat.data() + static_cast<std::size_t>(i) * size,
                   packed_.data() + i * packed_size_);
    }
  }

  /// Draws actions [rows, N] with uniform numbers [rows, N] in [0, 1); unless `log_probs` is null,
  /// it receives the policies [rows, N, A].
  void operator()(std::size_t worker, const Observations& obs, std::int64_t rows,
                  const float* uniform, std::int32_t* action, float* log_probs = nullptr) noexcept {
    passes_.act(layers_, agents_, obs, packed_.data(), rows, uniform, action, log_probs,
                scratch_[worker].data());
  }

 private:
  const Passes& passes_;
  Layers layers_;
  int agents_;
  std::ptrdiff_t packed_size_ = 0;
  std::size_t scratch_size_ = 0;
  Floats packed_;
  std::vector<Floats> scratch_;
};

}  // namespace ascore::nn
