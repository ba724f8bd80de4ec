/// Vectors of floats as wide as the instruction set of this translation unit, and what is computed
/// on them. The same source is compiled once per instruction set; `ASCORE_NN_ISA` names the
/// namespace, so that the copies cannot be taken for one another.
///
/// Multiplications and additions may be contracted here: results depend on the instruction set, and
/// on nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#ifndef ASCORE_NN_ISA
#define ASCORE_NN_ISA native
#endif

namespace ascore::nn {
inline namespace ASCORE_NN_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
/// Vectors across a tile of the matrix product: with kTileRows rows they fill the registers.
inline constexpr int kTileVectors = 4;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
inline constexpr int kTileVectors = 2;
#else
inline constexpr int kLanes = 4;
inline constexpr int kTileVectors = 2;
#endif
inline constexpr int kTileRows = 6;

/// Rows that go through a network together: activations stay in the second-level cache.
inline constexpr int kBlock = 96;
static_assert(kBlock % kTileRows == 0 && kBlock % 16 == 0);

using Vector [[gnu::vector_size(kLanes * 4), gnu::aligned(4), gnu::may_alias]] = float;

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector v) { *reinterpret_cast<Vector*>(to) = v; }

/// What a tile is made of, vectors or their halves. These serve where a layer ends before half a
/// vector does: a processor that takes two steps for a whole one takes one for them. (As template
/// arguments, the types themselves would lose their alignment.)
struct Whole {
  using V = Vector;
  static constexpr int lanes = kLanes;
};
struct Half {
  using V [[gnu::vector_size(kLanes * 2), gnu::aligned(4), gnu::may_alias]] = float;
  static constexpr int lanes = kLanes / 2;
};

constexpr int padded(int size, int multiple) { return (size + multiple - 1) / multiple * multiple; }

inline float as_float(std::int32_t bits) { return __builtin_bit_cast(float, bits); }
inline std::int32_t as_bits(float x) { return __builtin_bit_cast(std::int32_t, x); }

/// Four rows of four numbers, turned: to[j][i] = from(i)[j].
template <class Rows>
inline void turn_rows(Rows&& from, float* to, std::ptrdiff_t to_row) {
  using Quad [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;
  const auto at = [&](int i) { return *reinterpret_cast<const Quad*>(from(i)); };
  const Quad a = at(0), b = at(1), c = at(2), d = at(3);
  const Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Quad ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  const auto put = [&](int j, Quad v) { *reinterpret_cast<Quad*>(to + j * to_row) = v; };
  put(0, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
  put(1, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5));
  put(3, __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7));
}

/// Likewise of rows that lie from_row apart: to[j][i] = from[i][j].
inline void turn(const float* from, std::ptrdiff_t from_row, float* to, std::ptrdiff_t to_row) {
  turn_rows([&](int i) { return from + i * from_row; }, to, to_row);
}

/// Turns `rows` rows of `columns` numbers: to[j][i] = from(i)[j].
template <class Rows>
inline void turn_all(Rows&& from, int rows, int columns, float* to, std::ptrdiff_t to_row) {
  constexpr int kQuad = 4;
  int i = 0;
  for (; i + kQuad <= rows; i += kQuad) {
    int j = 0;
    for (; j + kQuad <= columns; j += kQuad) {
      turn_rows([&](int r) { return from(i + r) + j; }, to + j * to_row + i, to_row);
    }
    for (; j < columns; ++j) {
      for (int r = 0; r < kQuad; ++r) to[j * to_row + i + r] = from(i + r)[j];
    }
  }
  for (; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) to[j * to_row + i] = from(i)[j];
  }
}

/// exp within 2 units in the last place; 0 below -104, infinite above 88.73, NaN stays NaN.
/// Cody-Waite reduction and a minimax polynomial; written without branches, for vector loops.
inline float exp(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23 leaves a whole number in the low bits
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const float shifted = x * 1.4426950408889634f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) - n * -2.12194440054690583e-4f;
  const float tail =
      (((0.001381454f * r + 0.008368745f) * r + 0.04166839f) * r + 0.16666521f) * r + 0.49999994f;
  const std::int32_t whole = as_bits(shifted) - as_bits(kRound);
  const std::int32_t half = whole >> 1;  // in two factors, since 2^n alone may be out of range
  const float y = (tail * r) * r + r + 1.0f;
  // Unsigned, since a NaN's bits shift anywhere.
  const auto power = [](std::int32_t e) {
    return as_float(static_cast<std::int32_t>(static_cast<std::uint32_t>(e + 127) << 23));
  };
  return y * power(half) * power(whole - half);
}

/// Natural logarithm within 2 units in the last place, for normal x > 0; inf and NaN give NaN.
inline float log(float x) {
  constexpr std::int32_t kRootHalf = 0x3f3504f3;
  const std::int32_t bits = as_bits(x);
  const std::int32_t exponent =
      static_cast<std::int32_t>(static_cast<std::uint32_t>(bits) - kRootHalf) >> 23;
  const float mantissa = as_float(static_cast<std::int32_t>(
      static_cast<std::uint32_t>(bits) - (static_cast<std::uint32_t>(exponent) << 23)));
  const float e = static_cast<float>(exponent);
  const float f = mantissa - 1.0f;
  float tail = -0.07634497433900833f;
  tail = tail * f + 0.1276157796382904f;
  tail = tail * f + -0.13160182535648346f;
  tail = tail * f + 0.14201757311820984f;
  tail = tail * f + -0.16623356938362122f;
  tail = tail * f + 0.20001226663589478f;
  tail = tail * f + -0.2500081956386566f;
  tail = tail * f + 0.3333333134651184f;
  const float square = f * f;
  const float low = e * -2.12194440054690583e-4f + (square * f) * tail;
  return e * 0.693359375f + (f + (low - 0.5f * square)) + (x - x);
}

}  // namespace ASCORE_NN_ISA
}  // namespace ascore::nn
