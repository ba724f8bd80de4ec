/// Rollouts with the policy inside, for the environments of this module: networks do not travel
/// between modules, so environments compiled elsewhere are stepped from Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "acting.hpp"
#include "arrays.hpp"
#include "ascore/env.hpp"
#include "ascore/vec_env.hpp"
#include "vec_env.hpp"

namespace ascore::python {

template <class Env>
void add_rollout(py::class_<PythonVecEnv<Env>> cls) {
  using Self = PythonVecEnv<Env>;
  cls.def(
      "rollout",
      [](Self& self, PythonActingNetworks& policy, py::handle obs, py::handle neighbours,
         py::handle action, py::handle reward, py::handle terminated, py::handle truncated,
         py::handle running, py::handle log_probs) {
        using Core = VecEnv<Env>;
        using Obs = typename Env::Obs;
        const Spec& spec = self.core.spec();
        const std::size_t b = self.core.num_envs(), n = self.core.num_agents();
        const auto views = static_cast<std::size_t>(spec.views);
        const auto size = static_cast<std::size_t>(spec.obs_size);
        policy.require(static_cast<int>(n), spec.obs_size, spec.num_actions());
        py::array seen = require_array<Obs>("obs", obs, Use::kOutput);
        if (seen.ndim() < 1) throw py::value_error("obs has no axes");
        const auto t = static_cast<std::size_t>(seen.shape(0));
        require_shape("obs", seen, {t, b, views, size});
        const auto out = [](const char* name, py::handle object, auto zero,
                            std::initializer_list<std::size_t> shape) {
          py::array array = require_array<decltype(zero)>(name, object, Use::kOutput);
          require_shape(name, array, shape);
          return write<decltype(zero)>(name, array);
        };
        std::span<std::uint8_t> heard;
        if (!neighbours.is_none()) {
          heard = out("neighbours", neighbours, std::uint8_t{}, {t, b, n, n});
        }
        const typename Core::Record record{
            .steps = t,
            .obs = write<Obs>("obs", seen),
            .neighbours = heard,
            .action = out("action", action, std::int32_t{}, {t, b, n}),
            .reward = out("reward", reward, float{}, {t, b, n}),
            .terminated = out("terminated", terminated, std::uint8_t{}, {t, b}),
            .truncated = out("truncated", truncated, std::uint8_t{}, {t, b}),
            .running = out("running", running, double{}, {b, n})};
        float* policies = nullptr;
        if (!log_probs.is_none()) {
          const auto actions = static_cast<std::size_t>(spec.num_actions());
          policies = out("log_probs", log_probs, float{}, {t, b, n, actions}).data();
        }
        std::vector<typename Core::Ended> ended;
        self.exclusively([&] {
          auto act = policy.acting(spec, spec.views, self.core.num_threads(), policies);
          ended = self.core.rollout(record, act);
        });
        py::array_t<std::int64_t> step(static_cast<py::ssize_t>(ended.size()));
        py::array_t<std::int64_t> env(static_cast<py::ssize_t>(ended.size()));
        py::array_t<Obs> last({ended.size(), views, size});
        py::array_t<double> returns({ended.size(), n});
        for (std::size_t k = 0; k < ended.size(); ++k) {
          step.mutable_data()[k] = static_cast<std::int64_t>(ended[k].step);
          env.mutable_data()[k] = static_cast<std::int64_t>(ended[k].env);
          std::copy_n(ended[k].obs.data(), views * size, last.mutable_data() + k * views * size);
          std::copy_n(ended[k].returns.data(), n, returns.mutable_data() + k * n);
        }
        return py::make_tuple(step, env, last, returns);
      },
      py::arg("policy"), py::arg("obs"), py::arg("neighbours"), py::arg("action"),
      py::arg("reward"), py::arg("terminated"), py::arg("truncated"), py::arg("running"),
      py::arg("log_probs") = py::none(),
      "Take T steps with a policy's actions and fill [T, B, ...] arrays, neighbours and "
      "log-probabilities of all actions unless None; "
      "returns step, "
      "environment, "
      "last observation and returns of the episodes that ended.");
  cls.def(
      "choose",
      [](Self& self, PythonActingNetworks& policy, std::size_t first, py::handle obs,
         py::handle action) {
        using Obs = typename Env::Obs;
        const Spec& spec = self.core.spec();
        const std::size_t b = self.core.num_envs();
        const auto count = static_cast<std::size_t>(policy.agents());
        policy.require(policy.agents(), spec.obs_size, spec.num_actions());
        py::array seen = require_array<Obs>("obs", obs, Use::kOutput);
        require_shape("obs", seen, {b, count, static_cast<std::size_t>(spec.obs_size)});
        py::array chosen = require_array<std::int32_t>("action", action, Use::kOutput);
        require_shape("action", chosen, {b, count});
        const std::span<Obs> to = write<Obs>("obs", seen);
        const std::span<std::int32_t> drawn = write<std::int32_t>("action", chosen);
        self.exclusively([&] {
          auto act = policy.acting(spec, policy.agents(), self.core.num_threads());
          self.core.choose(first, count, to, drawn, act);
        });
      },
      py::arg("policy"), py::arg("first"), py::arg("obs"), py::arg("action"),
      "What the policy's agents, from number `first` on, see and do in the current state: fills "
      "obs [B, n, O] and action int32 [B, n]; nothing moves.");
}

}  // namespace ascore::python
