#include <pybind11/pybind11.h>

#include <cctype>
#include <string>

#include "ascore/envs/all.hpp"
#include "register.hpp"
#include "rollout.hpp"
#include "vec_env.hpp"

namespace ascore::python {
namespace {

/// "exchange-v1" -> "ExchangeV1".
std::string class_name(const std::string& name) {
  std::string made;
  bool begins = true;
  for (const char letter : name) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter != '-') made += begins ? static_cast<char>(std::toupper(byte)) : letter;
    begins = letter == '-';
  }
  return made;
}

}  // namespace

void register_environments(py::module_& module) {
  py::dict environments;
  for_each_environment([&]<class Env>() {
    auto made = register_vec_env<Env>(module, class_name(Env::kName).c_str());
    add_rollout(made);
    environments[Env::kName] = made;
  });
  module.attr("environments") = environments;
  module.attr("interface") = kInterface;
}

}  // namespace ascore::python
