/// The version of ascore, stated here and nowhere else: the Python build reads this file.
#pragma once

#define ASCORE_VERSION "0.1.0"

namespace ascore {

inline constexpr const char* kVersion = ASCORE_VERSION;

}  // namespace ascore
