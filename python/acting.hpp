/// Networks that act inside the compiled environments.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/nn/acting.hpp"

namespace ascore::python {

namespace py = pybind11;

/// Networks of N agents, and the memory of as many threads as an environment uses.
class PythonActingNetworks {
 public:
  PythonActingNetworks(const nn::Layers& layers, int agents, const std::string& instruction_set)
      : layers_(layers), agents_(agents), networks_(layers, agents, 1, instruction_set) {}

  nn::Acting& networks() noexcept { return networks_; }
  int agents() const noexcept { return agents_; }
  std::size_t size() const noexcept {
    std::size_t total = 0;
    for (int l = 0; l < layers_.count; ++l) {
      total += static_cast<std::size_t>(layers_.sizes[l] + 1) *
               static_cast<std::size_t>(layers_.sizes[l + 1]);
    }
    return total;
  }

  void load(std::span<const float> flat) {
    networks_.load(flat);
    loaded_ = true;
  }

  /// ValueError unless the networks fit an environment and have parameters.
  void require(int agents, int obs_size, int num_actions) const {
    if (agents != agents_ || obs_size != networks_.obs_size() ||
        num_actions != networks_.num_actions()) {
      throw py::value_error("the policy is for " + std::to_string(agents_) + " agents, " +
                            std::to_string(networks_.obs_size()) + " observation entries and " +
                            std::to_string(networks_.num_actions()) + " actions; want " +
                            std::to_string(agents) + ", " + std::to_string(obs_size) + " and " +
                            std::to_string(num_actions));
    }
    if (!loaded_) throw py::value_error("the policy has no parameters; call load() first");
  }

  /// What `VecEnv::rollout` and `choose` call to act on so many views; unless `log_probs` is null,
  /// it receives the policies of every row, [rows, N, A].
  auto acting(const Spec& spec, int views, std::size_t workers, float* log_probs = nullptr) {
    networks_.provide(workers);
    const auto wide = static_cast<std::size_t>(agents_ * networks_.num_actions());
    return [networks = &networks_, views, size = spec.obs_size,
            scale = static_cast<float>(spec.obs_scale), log_probs,
            wide](std::size_t worker, std::size_t row, std::size_t count, const auto* obs,
                  const float* uniform, std::int32_t* action) noexcept {
      nn::Observations seen{.scale = scale, .views = views, .size = size};
      if constexpr (std::is_same_v<decltype(obs), const float*>) {
        seen.floats = obs;
      } else {
        seen.bytes = obs;
      }
      (*networks)(worker, seen, static_cast<std::int64_t>(count), uniform, action,
                  log_probs != nullptr ? log_probs + row * wide : nullptr);
    };
  }

 private:
  nn::Layers layers_;
  int agents_;
  nn::Acting networks_;
  bool loaded_ = false;
};

}  // namespace ascore::python
