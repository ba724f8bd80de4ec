/// Which instruction set to compute with.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/nn/job.hpp"

namespace ascore::nn {

/// The widest instruction set of this machine, or the one asked for by name. Throws
/// std::invalid_argument if the machine lacks it.
inline const Passes& choose_passes(std::string_view name = "") {
  std::vector<const Passes*> there;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    there.push_back(&avx512_passes());
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    there.push_back(&avx2_passes());
  }
#endif
  there.push_back(&portable_passes());
  if (name.empty()) return *there.front();
  std::string names;
  for (const Passes* passes : there) {
    if (name == passes->name) return *passes;
    names += (names.empty() ? "" : ", ") + std::string(passes->name);
  }
  throw std::invalid_argument("instruction set \"" + std::string(name) +
                              "\" is not one of this machine's: " + names);
}

}  // namespace ascore::nn
