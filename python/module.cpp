#include <pybind11/pybind11.h>

#include "ascore/version.hpp"
#include "register.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "Compiled core of ascore: environments and advantage estimates.";
  module.attr("__version__") = ascore::kVersion;
  ascore::python::register_environments(module);
  ascore::python::register_gae(module);
  ascore::python::register_nn(module);
  ascore::python::register_yardstick(module);
}
