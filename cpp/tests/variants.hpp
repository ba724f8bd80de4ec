/// Parameters under which the tests of what holds for every environment try each of them.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "ascore/envs/all.hpp"

namespace ascore {

/// The variants of one environment that this program has; the first may be the defaults.
template <class Env>
std::vector<typename Env::Params>& variants() {
  static std::vector<typename Env::Params> list;
  return list;
}

/// What an environment's own test file declares once:
///
///     const Variants<Exchange> kVariants({{}, {.collisions = Params::Collisions::kBlock}});
template <class Env>
struct Variants {
  explicit Variants(std::vector<typename Env::Params> list) { variants<Env>() = std::move(list); }
};

/// Calls `check.template operator()<Env>(params)` for every variant of every environment, and for
/// the defaults of one whose own tests are not in this program (see cpp/tests/CMakeLists.txt).
template <class Check>
void for_each_variant(Check&& check) {
  for_each_environment([&check]<class Env>() {
    const char* const name = Env::kName;
    CAPTURE(name);
    const std::vector<typename Env::Params> defaults(1);
    const auto& tried = variants<Env>().empty() ? defaults : variants<Env>();
    for (std::size_t variant = 0; variant < tried.size(); ++variant) {
      CAPTURE(variant);
      check.template operator()<Env>(tried[variant]);
    }
  });
}

/// The same with episodes of another length, so that few steps see several.
template <class Params>
Params with_horizon(Params params, int horizon) {
  params.horizon = horizon;
  return params;
}

}  // namespace ascore
