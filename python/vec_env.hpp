/// @file
/// One template that binds `ascore::VecEnv<Env>` for any environment, those of other people
/// included:
///
///     PYBIND11_MODULE(orchard, module) {
///       ascore::python::register_vec_env<Orchard>(module, "Orchard");
///     }
///
/// makes `ascore.make("orchard:Orchard")` and `ascore train orchard:Orchard` work.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "arrays.hpp"
#include "ascore/env.hpp"
#include "ascore/vec_env.hpp"

namespace ascore::python {

/// Reads one parameter. TypeError if the Python value is of another kind, ValueError for an unknown
/// choice; ranges are checked afterwards, by `validate`.
template <class T, class Allowed>
void read_parameter(std::string_view name, py::handle from, const Allowed& allowed, T& to) {
  // NumPy calls its flag numpy.bool or numpy.bool_, depending on its version.
  const std::string type = type_text(from);
  const bool is_flag = type == "bool" || type == "bool_";
  const auto reject = [&](const char* wanted) {
    throw py::type_error(std::string(name) + " is of type " + type + ", want " + wanted);
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!is_flag) reject("a bool");
    to = PyObject_IsTrue(from.ptr()) == 1;
  } else if constexpr (std::is_enum_v<T>) {
    if (!py::isinstance<py::str>(from)) reject(("one of " + describe(allowed)).c_str());
    const auto text = py::cast<std::string>(from);
    for (std::size_t k = 0; k < allowed.names.size(); ++k) {
      if (allowed.names[k] == text) {
        to = static_cast<T>(k);
        return;
      }
    }
    throw py::value_error(std::string(name) + " = \"" + text + "\" is not one of " +
                          describe(allowed));
  } else if constexpr (std::is_same_v<T, int>) {
    if (is_flag || !PyIndex_Check(from.ptr())) reject("an int");
    int overflow = 0;
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(from.ptr()));
    if (!index) throw py::error_already_set();
    const long long value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow != 0 || value != static_cast<int>(value)) {
      throw py::value_error(std::string(name) + " = " + py::cast<std::string>(py::str(index)) +
                            " is outside " + describe(allowed));
    }
    to = static_cast<int>(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!py::isinstance<py::str>(from)) reject(("text: " + describe(allowed)).c_str());
    to = py::cast<std::string>(from);
  } else {
    static_assert(std::is_same_v<T, double>);
    if (is_flag || !(PyFloat_Check(from.ptr()) || PyIndex_Check(from.ptr()) ||
                     py::hasattr(from, "__float__"))) {
      reject("a float");
    }
    to = PyFloat_AsDouble(from.ptr());
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  }
}

/// A parameter as a Python value, enumerations by name.
template <class T, class Allowed>
py::object write_parameter(const T& value, const Allowed& allowed) {
  if constexpr (std::is_enum_v<T>) {
    return py::str(std::string(allowed.names[static_cast<std::size_t>(value)]));
  } else {
    return py::cast(value);
  }
}

/// Parameters from what a dict names, the others at their defaults; unknown names raise ValueError.
template <class Params>
Params params_from_dict(std::string_view env, const py::dict& given) {
  Params params;
  std::string known;
  std::size_t taken = 0;
  Params::visit(params, [&](std::string_view name, auto& value, const auto& allowed,
                            std::string_view, std::string_view) {
    known += (known.empty() ? "" : ", ") + std::string(name);
    const py::str key(name.data(), name.size());
    if (given.contains(key)) {
      read_parameter(name, given[key], allowed, value);
      ++taken;
    }
  });
  if (taken == given.size()) return params;
  for (const auto& [key, value] : given) {
    const auto name = py::cast<std::string>(py::str(key));
    bool found = false;
    Params::visit(
        params, [&](std::string_view candidate, auto&&...) { found = found || candidate == name; });
    if (!found) {
      throw py::value_error(std::string(env) + " has no parameter \"" + name +
                            "\"; its parameters are " + known);
    }
  }
  throw py::type_error("parameter names must be str");
}

/// All parameters by name.
template <class Params>
py::dict params_to_dict(const Params& params) {
  py::dict out;
  Params::visit(params, [&out](std::string_view name, const auto& value, const auto& allowed,
                               std::string_view, std::string_view) {
    out[py::str(name.data(), name.size())] = write_parameter(value, allowed);
  });
  return out;
}

/// (name, default, meaning with unit and allowed values, source), one tuple per parameter.
template <class Params>
py::list parameter_docs() {
  py::list out;
  const Params defaults;
  Params::visit(defaults, [&out](std::string_view name, const auto& value, const auto& allowed,
                                 std::string_view doc, std::string_view source) {
    out.append(py::make_tuple(std::string(name), write_parameter(value, allowed),
                              std::string(doc) + " [" + describe(allowed) + "]",
                              std::string(source)));
  });
  return out;
}

/// What `inspect` hands out, kept until Python objects may be made of it.
class Inspection {
 public:
  template <class T>
  void operator()(std::string_view name, const Shape& shape, std::span<const T> values) {
    rows_.push_back({std::string(name), shape, std::vector<T>(values.begin(), values.end())});
  }

  py::dict to_dict() const {
    py::dict out;
    for (const Row& row : rows_) {
      out[py::str(row.name)] =
          std::visit([&row](const auto& values) { return py::object(array_of(row.shape, values)); },
                     row.values);
    }
    return out;
  }

 private:
  struct Row {
    std::string name;
    Shape shape;
    std::variant<std::vector<std::int32_t>, std::vector<double>, std::vector<std::uint8_t>> values;
  };

  template <class T>
  static py::array_t<T> array_of(const Shape& shape, const std::vector<T>& values) {
    return py::array_t<T>(shape, values.data());
  }

  std::vector<Row> rows_;
};

/// A VecEnv and the NumPy views of its buffers.
///
/// A view keeps its VecEnv alive, so the VecEnv remembers its views weakly: a strong reference back
/// would be a cycle that NumPy arrays cannot take part in collecting.
template <class Env>
class PythonVecEnv {
 public:
  PythonVecEnv(std::size_t num_envs, std::uint64_t seed, std::uint64_t first_env, int num_threads,
               const typename Env::Params& params)
      : core(num_envs, seed, first_env, num_threads, params) {}

  VecEnv<Env> core;

  /// The read-only array over `buffer` whose base is `self`; the same object while it is in use.
  template <class T>
  py::object view(py::handle self, std::size_t slot, std::span<const T> buffer,
                  std::vector<std::size_t> shape) {
    if (views_[slot]) {
      py::object alive = views_[slot]();
      if (!alive.is_none()) return alive;
    }
    py::array array(py::dtype::of<T>(), std::move(shape), buffer.data(), self);
    array.attr("setflags")(py::arg("write") = false);
    views_[slot] = py::weakref(array);
    return array;
  }

  /// Runs `work` without the GIL. RuntimeError if another thread is inside this VecEnv.
  template <class Work>
  void exclusively(Work&& work) {
    if (busy_.exchange(true, std::memory_order_acquire)) {
      throw std::runtime_error("this VecEnv is in use by another thread");
    }
    struct Release {
      std::atomic<bool>& busy;
      ~Release() { busy.store(false, std::memory_order_release); }
    } const release{busy_};
    const py::gil_scoped_release unlocked;
    work();
  }

 private:
  std::array<py::object, 8> views_;
  std::atomic<bool> busy_{false};
};

/// Number of an environment. IndexError below 0, which is no size: let it be as far outside as its
/// message says.
inline std::size_t checked_index(py::ssize_t index, std::size_t num_envs) {
  if (index < 0) {
    throw py::index_error("index = " + std::to_string(index) + " is outside 0.." +
                          std::to_string(num_envs - 1));
  }
  return static_cast<std::size_t>(index);
}

/// Grows when the Python package asks something else of a batch than it did: a module compiled from
/// older headers is then refused by name.
inline constexpr int kInterface = 1;

/// Binds VecEnv<Env> under a name, with everything that ascore.make and `ascore train` ask of it.
template <class Env>
py::class_<PythonVecEnv<Env>> register_vec_env(py::module_& module, const char* class_name) {
  using Self = PythonVecEnv<Env>;
  using Params = typename Env::Params;
  const Spec defaults = Env(Params{}).spec();
  const std::string name(defaults.name);

  py::class_<Self> cls(
      module, class_name,
      ("A batch of " + name + " environments; arrays are views that the next step overwrites.")
          .c_str());
  cls.attr("name") = name;
  cls.attr("interface") = kInterface;
  cls.attr("parameter_docs") = parameter_docs<Params>();

  cls.def(py::init([name](py::ssize_t num_envs, std::uint64_t seed, std::uint64_t first_env,
                          int num_threads, const py::dict& params) {
            if (num_envs < 1) {
              throw py::value_error("num_envs = " + std::to_string(num_envs) + " is below 1");
            }
            return std::make_unique<Self>(static_cast<std::size_t>(num_envs), seed, first_env,
                                          num_threads, params_from_dict<Params>(name, params));
          }),
          py::arg("num_envs"), py::arg("seed"), py::arg("first_env") = 0,
          py::arg("num_threads") = 0, py::arg("params") = py::dict());

  cls.def(
      "reset",
      [](Self& self, std::optional<std::uint64_t> seed) {
        self.exclusively([&] { seed ? self.core.reset(*seed) : self.core.reset(); });
      },
      py::arg("seed") = py::none(),
      "Start the next episode everywhere; with a seed, episode 0 of that seed.");
  cls.def(
      "step",
      [](Self& self, py::handle action) {
        const py::array array = require_array<std::int32_t>("action", action);
        require_shape("action", array, {self.core.num_envs(), self.core.num_agents()});
        self.exclusively([&] { self.core.step(read<std::int32_t>(array)); });
      },
      py::arg("action"), "Advance every environment by one step; action is int32 [B, N].");
  cls.def(
      "uniforms",
      [](Self& self, py::handle out) {
        py::array array = require_array<float>("out", out, Use::kOutput);
        require_shape("out", array, {self.core.num_envs(), self.core.num_agents()});
        const std::span<float> to = write<float>("out", array);
        self.exclusively([&] { self.core.uniforms(to); });
      },
      py::arg("out"),
      "Fill float32 [B, N] with the numbers in [0, 1) that draw actions in the current state.");
  static_assert(Inspectable<Env>,
                "an environment for Python has a member inspect(row); see env.hpp");
  cls.def(
      "inspect",
      [](Self& self, py::ssize_t index, py::handle action) {
        const std::size_t b = checked_index(index, self.core.num_envs());
        Inspection found;
        if (action.is_none()) {
          self.exclusively([&] { self.core.inspect(b, found); });
        } else {
          const py::array array = require_array<std::int32_t>("action", action);
          require_shape("action", array, {self.core.num_envs(), self.core.num_agents()});
          self.exclusively([&] { self.core.inspect_after(b, read<std::int32_t>(array), found); });
        }
        return found.to_dict();
      },
      py::arg("index"), py::arg("action") = py::none(),
      "What environment `index` holds, as arrays by name; copies. With action int32 [B, N], what "
      "it "
      "will hold after a step with it, before any reset.");
  if constexpr (Telling<Env>) {
    cls.def(
        "deeds",
        [](Self& self, py::ssize_t index, py::handle action) {
          const py::array array = require_array<std::int32_t>("action", action);
          require_shape("action", array, {self.core.num_envs(), self.core.num_agents()});
          const std::size_t b = checked_index(index, self.core.num_envs());
          Inspection found;
          self.exclusively([&] { self.core.deeds(b, read<std::int32_t>(array), found); });
          return found.to_dict();
        },
        py::arg("index"), py::arg("action"),
        "How often each agent of environment `index` will do what, by name, as int32 [N], in a "
        "step with action int32 [B, N].");
  }
  cls.def(
      "save_state",
      [](Self& self, std::size_t first, std::optional<std::size_t> count) {
        std::vector<std::uint8_t> bytes;
        const std::size_t all = self.core.num_envs();
        const std::size_t rest = first < all ? all - first : 0;
        self.exclusively([&] { bytes = self.core.save_state(first, count.value_or(rest)); });
        return py::array_t<std::uint8_t>(static_cast<py::ssize_t>(bytes.size()), bytes.data());
      },
      py::arg("first") = 0, py::arg("count") = py::none(),
      "Everything that changes, as uint8 [K]; of `count` environments from `first` on.");
  cls.def(
      "load_state",
      [](Self& self, py::handle state, std::size_t first, std::optional<std::size_t> count) {
        const py::array array = require_array<std::uint8_t>("state", state);
        require_shape("state", array, {static_cast<std::size_t>(array.size())});
        const std::size_t all = self.core.num_envs();
        const std::size_t rest = first < all ? all - first : 0;
        self.exclusively(
            [&] { self.core.load_state(read<std::uint8_t>(array), first, count.value_or(rest)); });
      },
      py::arg("state"), py::arg("first") = 0, py::arg("count") = py::none(),
      "Go back to a saved state, every buffer included, in `count` environments from `first` on.");

  const auto view = [&cls](const char* property, const char* doc, auto get) {
    cls.def_property_readonly(property, get, doc);
  };
  view("obs", "[B, V, O]: the current state", [](py::object self) {
    auto& env = self.cast<Self&>();
    const Spec& s = env.core.spec();
    return env.view(self, 0, env.core.obs(),
                    {env.core.num_envs(), std::size_t(s.views), std::size_t(s.obs_size)});
  });
  view("final_obs", "[B, V, O]: the last state of the latest episode that ended",
       [](py::object self) {
         auto& env = self.cast<Self&>();
         const Spec& s = env.core.spec();
         return env.view(self, 1, env.core.final_obs(),
                         {env.core.num_envs(), std::size_t(s.views), std::size_t(s.obs_size)});
       });
  view("reward", "float32 [B, N]: of the last step", [](py::object self) {
    auto& env = self.cast<Self&>();
    return env.view(self, 2, env.core.reward(), {env.core.num_envs(), env.core.num_agents()});
  });
  cls.def(
      "keep_neighbours", [](Self& self) { self.core.keep_neighbours(); },
      "From the first reset on, keep who hears whom of many agents too.");
  view("neighbours", "uint8 [B, N, N]: 1 where i hears j in the current state; None if not kept",
       [](py::object self) -> py::object {
         auto& env = self.cast<Self&>();
         if (env.core.neighbours().empty()) return py::none();
         return env.view(self, 3, env.core.neighbours(),
                         {env.core.num_envs(), env.core.num_agents(), env.core.num_agents()});
       });
  view("terminated", "uint8 [B]: the episode ended by its rules", [](py::object self) {
    auto& env = self.cast<Self&>();
    return env.view(self, 4, env.core.terminated(), {env.core.num_envs()});
  });
  view("truncated", "uint8 [B]: the episode ended by the time limit", [](py::object self) {
    auto& env = self.cast<Self&>();
    return env.view(self, 5, env.core.truncated(), {env.core.num_envs()});
  });
  view("episode", "uint64 [B]: index of the running episode", [](py::object self) {
    auto& env = self.cast<Self&>();
    return env.view(self, 6, env.core.episode(), {env.core.num_envs()});
  });
  view("time", "int32 [B]: steps taken in the running episode", [](py::object self) {
    auto& env = self.cast<Self&>();
    return env.view(self, 7, env.core.time(), {env.core.num_envs()});
  });

  cls.def_property_readonly("num_envs", [](const Self& e) { return e.core.num_envs(); });
  cls.def_property_readonly("num_agents", [](const Self& e) { return e.core.num_agents(); });
  cls.def_property_readonly("num_actions",
                            [](const Self& e) { return e.core.spec().num_actions(); });
  cls.def_property_readonly("obs_size", [](const Self& e) { return e.core.spec().obs_size; });
  cls.def_property_readonly("obs_scale", [](const Self& e) { return e.core.spec().obs_scale; });
  cls.def_property_readonly("views", [](const Self& e) { return e.core.spec().views; });
  cls.def_property_readonly("horizon", [](const Self& e) { return e.core.spec().horizon; });
  cls.def_property_readonly("num_threads", [](const Self& e) { return e.core.num_threads(); });
  cls.def_property_readonly("params",
                            [](const Self& e) { return params_to_dict(e.core.params()); });
  cls.def_property_readonly("action_names", [](const Self& e) {
    py::list names;
    for (const std::string_view action : e.core.spec().action_names) {
      names.append(py::str(action.data(), action.size()));
    }
    return py::tuple(names);
  });
  return cls;
}

}  // namespace ascore::python
