#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "ascore/nn/choose.hpp"

/// Those for which this machine can run the passes.
inline std::vector<std::string> instruction_sets() {
  std::vector<std::string> found;
  for (const char* name : {"portable", "avx2", "avx512"}) {
    try {
      ascore::nn::choose_passes(name);
      found.emplace_back(name);
    } catch (const std::invalid_argument&) {
      continue;
    }
  }
  return found;
}
