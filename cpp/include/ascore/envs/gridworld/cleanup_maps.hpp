/// The maps of Cleanup that have names.
#pragma once

#include <array>
#include <string_view>

#include "ascore/compiler.hpp"

namespace ascore::grid {

/// The published map. @ wall, H river with waste at first, R river without, S stream (floor),
/// B orchard, P where agents may start.
inline constexpr std::array<std::string_view, 25> kCleanupFull{
    "@@@@@@@@@@@@@@@@@@",  //
    "@RRRRRR     BBBBB@",  //
    "@HHHHHH      BBBB@",  //
    "@RRRRRR     BBBBB@",  //
    "@RRRRR  P    BBBB@",  //
    "@RRRRR    P BBBBB@",  //
    "@HHHHH       BBBB@",  //
    "@RRRRR      BBBBB@",  //
    "@HHHHHHSSSSSSBBBB@",  //
    "@HHHHHHSSSSSSBBBB@",  //
    "@RRRRR   P P BBBB@",  //
    "@HHHHH   P  BBBBB@",  //
    "@RRRRRR    P BBBB@",  //
    "@HHHHHH P   BBBBB@",  //
    "@RRRRR       BBBB@",  //
    "@HHHH    P  BBBBB@",  //
    "@RRRRR       BBBB@",  //
    "@HHHHH  P P BBBBB@",  //
    "@RRRRR       BBBB@",  //
    "@HHHH       BBBBB@",  //
    "@RRRRR       BBBB@",  //
    "@HHHHH      BBBBB@",  //
    "@RRRRR       BBBB@",  //
    "@HHHH       BBBBB@",  //
    "@@@@@@@@@@@@@@@@@@",
};

/// The maps of Yang et al. 2020, 011235813/lio, lio/env/maps.py: CLEANUP_SMALL_SYM and
/// CLEANUP_10x10_SYM. lio/alg/config_ssd_lio.py plays them for 50 steps with turns = false, start =
/// fixed and threshold_depletion = 0.6, apple_probability = 0.5 on the smaller one, 0.3 on the
/// larger one.
inline constexpr std::array<std::string_view, 7> kCleanupLio7{
    "@@@@@@@",  //
    "@H  PB@",  //
    "@H   B@",  //
    "@    B@",  //
    "@    B@",  //
    "@ P  B@",  //
    "@@@@@@@",
};
inline constexpr std::array<std::string_view, 10> kCleanupLio10{
    "@@@@@@@@@@",  //
    "@HH   P B@",  //
    "@RR    BB@",  //
    "@HH     B@",  //
    "@RR    BB@",  //
    "@HH P   B@",  //
    "@RR    BB@",  //
    "@HH     B@",  //
    "@RRP   BB@",  //
    "@@@@@@@@@@",
};

}  // namespace ascore::grid
