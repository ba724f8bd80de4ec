/// What each binding source adds to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace ascore::python {

void register_environments(pybind11::module_& module);
void register_gae(pybind11::module_& module);
void register_nn(pybind11::module_& module);
void register_yardstick(pybind11::module_& module);

}  // namespace ascore::python
