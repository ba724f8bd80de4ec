/// Private weights: what an event is worth to each agent, which no observation shows.
#pragma once

#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ascore/env.hpp"
#include "ascore/parameters.hpp"

namespace ascore {

inline constexpr Range kWeights{0.0, 1e6};
inline constexpr std::string_view kEqualWeights = "equal";

/// What the parameter may hold, and why there is one.
inline constexpr Text kWeightsText{"equal, or a number per agent with spaces between them"};
inline constexpr std::string_view kWeightsSource =
    "ours: something to hide; in the published games all can compute what each earns";

/// A number per agent from text such as "0.5 1.5"; none if it is "equal": 1 each. Throws
/// std::invalid_argument, which names what is wrong.
inline std::vector<double> read_weights(const std::string& text, int num_agents) {
  std::vector<double> weights;
  if (text == kEqualWeights) return weights;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    double weight = 0;
    if (!detail::read_value(word, kWeights, weight) || !kWeights.admits(weight)) {
      throw std::invalid_argument("weights has " + to_text(word) + ", want a number in " +
                                  describe(kWeights) + " for each agent, with spaces between them");
    }
    weights.push_back(weight);
  }
  if (weights.size() != static_cast<std::size_t>(num_agents)) {
    throw std::invalid_argument("weights has " + std::to_string(weights.size()) +
                                " numbers; num_agents = " + std::to_string(num_agents) +
                                " needs one for each agent");
  }
  return weights;
}

}  // namespace ascore
