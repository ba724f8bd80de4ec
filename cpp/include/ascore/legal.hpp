/// @file
/// Actions that are not legal.
#pragma once

#include "ascore/compiler.hpp"

namespace ascore {

/// Logit of an action that is not legal: its probability is exactly 0, and its logarithm stays a
/// number, so that 0 times it is 0. Python has the same as `ILLEGAL`.
inline constexpr float kIllegal = -1e9f;

}  // namespace ascore
