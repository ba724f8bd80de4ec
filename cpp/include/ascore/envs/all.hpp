/// Every environment of the library, once: the Python module, the C interface and the tests of what
/// holds everywhere read this list.
#pragma once

#include <tuple>
#include <type_traits>

#include "ascore/envs/cleanup.hpp"
#include "ascore/envs/escape.hpp"
#include "ascore/envs/exchange.hpp"
#include "ascore/envs/harvest.hpp"
#include "ascore/envs/navigation.hpp"
#include "ascore/envs/predation.hpp"

namespace ascore {

/// By name. Each has its public name, such as "exchange-v1", in `kName`.
using Environments = std::tuple<Cleanup, Escape, Exchange, Harvest, Navigation, Predation>;

/// Calls `visit.template operator()<Env>()` for every environment, in the order of the list.
template <class Visit>
void for_each_environment(Visit&& visit) {
  [&]<class... Env>(std::type_identity<std::tuple<Env...>>) {
    (visit.template operator()<Env>(), ...);
  }(std::type_identity<Environments>{});
}

}  // namespace ascore
