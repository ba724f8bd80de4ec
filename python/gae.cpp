#include "ascore/gae.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "register.hpp"

namespace ascore::python {
namespace {

/// Flags may be NumPy bools, which are bytes holding 0 or 1.
py::array require_flags(const char* name, py::handle object) {
  if (py::isinstance<py::array_t<bool>>(object)) return require_array<bool>(name, object);
  return require_array<std::uint8_t>(name, object);
}

void require_disjoint(const char* a, const py::array& x, const char* b, const py::array& y) {
  const auto* x0 = static_cast<const char*>(x.data());
  const auto* y0 = static_cast<const char*>(y.data());
  const std::less<const char*> before;
  if (before(x0, y0 + y.nbytes()) && before(y0, x0 + x.nbytes())) {
    throw py::value_error(std::string(a) + " and " + b + " share memory");
  }
}

void compute_gae(py::handle reward, py::handle value, py::handle terminated, py::handle truncated,
                 py::handle final_value, double gamma, double gae_lambda, py::handle advantage,
                 py::handle returns) {
  const py::array r = require_array<float>("reward", reward);
  if (r.ndim() != 3) {
    throw py::value_error("reward has " + std::to_string(r.ndim()) +
                          " axes, want 3: steps, environments, agents");
  }
  const GaeShape shape{static_cast<std::size_t>(r.shape(0)), static_cast<std::size_t>(r.shape(1)),
                       static_cast<std::size_t>(r.shape(2))};
  const auto [steps, envs, agents] = shape;
  const py::array v = require_array<float>("value", value);
  require_shape("value", v, {steps + 1, envs, agents});
  const py::array term = require_flags("terminated", terminated);
  require_shape("terminated", term, {steps, envs});
  const py::array trunc = require_flags("truncated", truncated);
  require_shape("truncated", trunc, {steps, envs});
  py::array adv = require_array<float>("advantage", advantage, Use::kOutput);
  require_shape("advantage", adv, {steps, envs, agents});
  py::array ret = require_array<float>("returns", returns, Use::kOutput);
  require_shape("returns", ret, {steps, envs, agents});

  GaeInput in{.reward = read<float>(r),
              .value = read<float>(v),
              .terminated = read<std::uint8_t>(term),
              .truncated = read<std::uint8_t>(trunc),
              .final_value = {}};
  py::array last;
  if (!final_value.is_none()) {
    last = require_array<float>("final_value", final_value);
    require_shape("final_value", last, {steps, envs, agents});
    in.final_value = read<float>(last);
  }
  const std::span<float> adv_out = write<float>("advantage", adv);
  const std::span<float> ret_out = write<float>("returns", ret);
  require_disjoint("advantage", adv, "returns", ret);
  for (const auto& [name, out] : {std::pair{"advantage", &adv}, std::pair{"returns", &ret}}) {
    require_disjoint(name, *out, "reward", r);
    require_disjoint(name, *out, "value", v);
    require_disjoint(name, *out, "terminated", term);
    require_disjoint(name, *out, "truncated", trunc);
    if (!final_value.is_none()) require_disjoint(name, *out, "final_value", last);
  }

  const py::gil_scoped_release unlocked;
  gae(shape, in, gamma, gae_lambda, adv_out, ret_out);
}

}  // namespace

void register_gae(py::module_& module) {
  module.def("gae", &compute_gae, py::arg("reward"), py::arg("value"), py::arg("terminated"),
             py::arg("truncated"), py::arg("final_value").none(true), py::arg("gamma"),
             py::arg("gae_lambda"), py::arg("advantage"), py::arg("returns"),
             "Generalised advantage estimates and returns, written to the last two arrays.");
}

}  // namespace ascore::python
