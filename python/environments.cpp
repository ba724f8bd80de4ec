#include <pybind11/pybind11.h>

#include "ascore/envs/cleanup.hpp"
#include "ascore/envs/exchange.hpp"
#include "ascore/envs/harvest.hpp"
#include "ascore/envs/navigation.hpp"
#include "ascore/envs/predation.hpp"
#include "register.hpp"
#include "rollout.hpp"
#include "vec_env.hpp"

namespace ascore::python {

void register_environments(py::module_& module) {
  add_rollout(register_vec_env<Cleanup>(module, "CleanupV1"));
  add_rollout(register_vec_env<Exchange>(module, "ExchangeV1"));
  add_rollout(register_vec_env<Harvest>(module, "HarvestV1"));
  add_rollout(register_vec_env<Navigation>(module, "NavigationV1"));
  add_rollout(register_vec_env<Predation>(module, "PredationV1"));
}

}  // namespace ascore::python
