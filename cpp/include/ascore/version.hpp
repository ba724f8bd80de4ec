/// @file
/// The version of ascore, stated here and nowhere else: the Python build reads this file.
#pragma once

#include "ascore/compiler.hpp"

/// The version as a literal, such as "0.1.0".
#define ASCORE_VERSION "0.1.0"

namespace ascore {

/// The version, such as "0.1.0".
inline constexpr const char* kVersion = ASCORE_VERSION;

}  // namespace ascore
