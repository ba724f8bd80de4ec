/// @file
/// What a compiler must be able to do. Every other header includes this one, so that an older
/// standard or another compiler ends in one sentence instead of hundreds of errors.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#error "ascore needs GCC or Clang; on Windows use MinGW-w64 or clang-cl"
#include <ascore/no_such_file>  // compilers stop here; after an #error alone they go on
#elif !defined(__cpp_concepts) || __cpp_concepts < 201907L
#error "ascore needs C++20; compile with -std=c++20 or newer"
#include <ascore/no_such_file>  // compilers stop here; after an #error alone they go on
#endif
