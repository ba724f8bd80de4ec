/// Small matrix products whose operands stay in cache.
///
/// The right operand is packed into panels of kTileVectors vectors, one after the other, zero where
/// it ends before a vector does; the left one is read element by element with any strides.
#pragma once

#include "ascore/nn/simd.hpp"

namespace ascore::nn {
inline namespace ASCORE_NN_ISA {

inline constexpr int kPanel = kTileVectors * kLanes;

/// What happens to a tile when its sums are complete.
struct Finish {
  const float* bias = nullptr;  ///< added to every row, or
  bool add = false;             ///< added to what is there
  bool relu = false;            ///< negative numbers become 0
  const float* open = nullptr;  ///< laid out as the result: where it is not positive, 0 comes out
};

/// c[i][j] = sum_k a[i, k] b[k][j] for some rows and C vectors.
template <class Of, int C, int Rows>
inline void tile(const float* a, std::ptrdiff_t a_row, std::ptrdiff_t a_k, int depth,
                 const float* b, std::ptrdiff_t b_k, float* c, std::ptrdiff_t c_row,
                 const Finish& finish) {
  using V = typename Of::V;
  constexpr int kLanes = Of::lanes;
  const auto at = [](auto* number) { return reinterpret_cast<V*>(const_cast<float*>(number)); };
  // All loops over `sum` are unrolled, so that it never leaves the registers.
  V sum[Rows][C];
  if (finish.add) {
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 12
      for (int j = 0; j < C; ++j) sum[i][j] = *at(c + i * c_row + j * kLanes);
    }
  } else if (finish.bias != nullptr) {
#pragma GCC unroll 12
    for (int j = 0; j < C; ++j) {
      const V bias = *at(finish.bias + j * kLanes);
#pragma GCC unroll 12
      for (int i = 0; i < Rows; ++i) sum[i][j] = bias;
    }
  } else {
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 12
      for (int j = 0; j < C; ++j) sum[i][j] = V{};
    }
  }
  for (int k = 0; k < depth; ++k) {
    V right[C];
#pragma GCC unroll 12
    for (int j = 0; j < C; ++j) right[j] = *at(b + k * b_k + j * kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
      const float left = a[i * a_row + k * a_k];
#pragma GCC unroll 12
      for (int j = 0; j < C; ++j) sum[i][j] += right[j] * left;
    }
  }
  if (finish.relu) {
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 12
      for (int j = 0; j < C; ++j) sum[i][j] = sum[i][j] < 0.0f ? V{} : sum[i][j];  // NaN stays
    }
  } else if (finish.open != nullptr) {
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 12
      for (int j = 0; j < C; ++j) {
        const V open = *at(finish.open + i * c_row + j * kLanes);
        sum[i][j] = open > 0.0f ? sum[i][j] : V{};
      }
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < C; ++j) *at(c + i * c_row + j * kLanes) = sum[i][j];
  }
}

/// Offers `body` the start of each panel and its number of vectors.
template <class Body>
inline void panels(int width, Body&& body) {
  for (int j = 0; j < width; j += kPanel) {
    const int left = (width - j) / kLanes;
    body(j, left < kTileVectors ? left : kTileVectors);
  }
}

/// Rows of a tile that is one vector across: as many sums as do not wait for one another.
inline constexpr int kTallRows = 2 * kTileRows;

/// Offers `body` the first row and, as its template arguments, the shape of each tile of a panel:
/// `rows` rows, a multiple of kTileRows or 1, and `vectors` vectors; halves of one where no more
/// than half of it is `used`.
template <class Body>
inline void tiles(int vectors, int used, int rows, Body&& body) {
  const auto every = [&]<class Of, int C, int Rows>(int i) {
    for (; i + Rows <= rows; i += Rows) body.template operator()<Of, C, Rows>(i);
    return i;
  };
  const auto wide = [&]<int C>() {
    if (rows == 1) {
      every.template operator()<Whole, C, 1>(0);
    } else {
      every.template operator()<Whole, C, kTileRows>(0);
    }
  };
  const auto thin = [&]<class Of>() {
    if (rows == 1) {
      every.template operator()<Of, 1, 1>(0);
    } else {
      every.template operator()<Of, 1, kTileRows>(every.template operator()<Of, 1, kTallRows>(0));
    }
  };
  if (vectors == 1) {
    if (2 * used <= kLanes) return thin.template operator()<Half>();
    return thin.template operator()<Whole>();
  }
  if constexpr (kTileVectors == 4) {
    if (vectors == 2) return wide.template operator()<2>();
    if (vectors == 3) return wide.template operator()<3>();
  }
  wide.template operator()<kTileVectors>();
}

/// Packs `rows` x `columns` numbers, b[k][j] at from[k * k_step + j * j_step], for `multiply`; one
/// of the steps is 1.
inline void pack(const float* from, int rows, int columns, std::ptrdiff_t k_step,
                 std::ptrdiff_t j_step, float* to) {
  constexpr int kQuad = 4;  // numbers that `turn` turns at once
  panels(padded(columns, kLanes), [&](int first, int vectors) {
    const int width = vectors * kLanes;
    const int there = columns - first < width ? columns - first : width;
    const float* panel = from + first * j_step;
    const auto row = [&](int k, int start) {
      for (int j = start; j < there; ++j) to[k * width + j] = panel[k * k_step + j * j_step];
      for (int j = there; j < width; ++j) to[k * width + j] = 0.0f;
    };
    int k = 0;
    if (j_step != 1) {
      const int whole = there - there % kQuad;
      for (; k + kQuad <= rows; k += kQuad) {
        for (int j = 0; j < whole; j += kQuad) {
          turn(panel + k + j * j_step, j_step, to + k * width + j, width);
        }
        for (int i = 0; i < kQuad; ++i) row(k + i, whole);
      }
    }
    for (; k < rows; ++k) row(k, 0);
    to += static_cast<std::ptrdiff_t>(rows) * width;
  });
}

/// c[i][j] = sum_k a[i][k] packed[k][j]; rows is a multiple of kTileRows, or 1. Columns of c behind
/// the last one, up to the next multiple of kLanes, become those of `packed`, or 0.
inline void multiply(const float* a, std::ptrdiff_t a_row, int rows, int depth, const float* packed,
                     int columns, float* c, std::ptrdiff_t c_row, const Finish& finish) {
  panels(padded(columns, kLanes), [&](int first, int vectors) {
    const int step = vectors * kLanes;
    tiles(vectors, columns - first, rows, [&]<class Of, int C, int Rows>(int i) {
      Finish here = finish;
      if (here.bias != nullptr) here.bias += first;
      if (here.open != nullptr) here.open += i * c_row + first;
      float* to = c + i * c_row + first;
      tile<Of, C, Rows>(a + i * a_row, a_row, 1, depth, packed, step, to, c_row, here);
      if constexpr (Of::lanes < kLanes) {
        for (int r = 0; r < Rows; ++r) {
          for (int j = Of::lanes; j < kLanes; ++j) to[r * c_row + j] = 0.0f;
        }
      }
    });
    packed += static_cast<std::ptrdiff_t>(depth) * step;
  });
}

/// Rows that go through networks of their own side by side, at most.
inline constexpr int kNets = 4;

/// c[n][j] = bias[n][j] + sum_k a[n][k] b[n][k][j], one row for each of `Nets` networks that lie
/// `apart` numbers from one another. A single row waits for its own sums; several do not wait for
/// one another. Every sum adds up in the order of `tile`.
template <int C, int Nets>
inline void row_tile(const float* a, std::ptrdiff_t a_net, int depth, const float* b,
                     const float* bias, std::ptrdiff_t apart, bool relu, float* c,
                     std::ptrdiff_t c_net) {
  Vector sum[Nets][C];
  for (int n = 0; n < Nets; ++n) {
    for (int j = 0; j < C; ++j) sum[n][j] = load(bias + n * apart + j * kLanes);
  }
  for (int k = 0; k < depth; ++k) {
#pragma GCC unroll 4
    for (int n = 0; n < Nets; ++n) {
      const float left = a[n * a_net + k];
      const float* right = b + n * apart + std::ptrdiff_t{k} * C * kLanes;
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) sum[n][j] += load(right + j * kLanes) * left;
    }
  }
  for (int n = 0; n < Nets; ++n) {
    for (int j = 0; j < C; ++j) {
      Vector v = sum[n][j];
      if (relu) v = v < 0.0f ? Vector{} : v;  // NaN stays NaN
      store(c + n * c_net + j * kLanes, v);
    }
  }
}

/// `multiply` of one row in each of `Nets` networks.
template <int Nets>
inline void multiply_rows(const float* a, std::ptrdiff_t a_net, int depth, const float* packed,
                          const float* bias, std::ptrdiff_t apart, int width, bool relu, float* c,
                          std::ptrdiff_t c_net) {
  panels(width, [&](int first, int vectors) {
    const auto run = [&]<int C>() {
      row_tile<C, Nets>(a, a_net, depth, packed, bias + first, apart, relu, c + first, c_net);
    };
    if (vectors == 1) {
      run.template operator()<1>();
    } else if (vectors == kTileVectors) {
      run.template operator()<kTileVectors>();
    } else if constexpr (kTileVectors == 4) {
      if (vectors == 2) {
        run.template operator()<2>();
      } else {
        run.template operator()<3>();
      }
    }
    packed += std::ptrdiff_t{depth} * vectors * kLanes;
  });
}

/// The entries of a block of rows that are not 0; row i has count[i] of them, from i * stride on.
struct Nonzeros {
  const std::int32_t* count;
  const std::int32_t* index;
  const float* value;
  std::ptrdiff_t stride;

  /// Those from a row on.
  Nonzeros from(int row) const {
    return {count + row, index + row * stride, value + row * stride, stride};
  }
};

/// `multiply` of rows that are nearly all zeros.
inline void multiply_sparse(const Nonzeros& a, int rows, int depth, const float* packed, int width,
                            float* c, std::ptrdiff_t c_row, const Finish& finish) {
  panels(width, [&](int first, int vectors) {
    const int step = vectors * kLanes;
    for (int i = 0; i < rows; ++i) {
      Vector sum[kTileVectors];
      for (int v = 0; v < vectors; ++v) sum[v] = load(finish.bias + first + v * kLanes);
      const std::int32_t* index = a.index + i * a.stride;
      const float* value = a.value + i * a.stride;
      if (vectors == kTileVectors) {
        for (int k = 0; k < a.count[i]; ++k) {
          const float* from = packed + std::ptrdiff_t{index[k]} * step;
#pragma GCC unroll 4
          for (int v = 0; v < kTileVectors; ++v) sum[v] += load(from + v * kLanes) * value[k];
        }
      } else {
        for (int k = 0; k < a.count[i]; ++k) {
          const float* from = packed + std::ptrdiff_t{index[k]} * step;
          for (int v = 0; v < vectors; ++v) sum[v] += load(from + v * kLanes) * value[k];
        }
      }
      for (int v = 0; v < vectors; ++v) {
        if (finish.relu) sum[v] = sum[v] < 0.0f ? Vector{} : sum[v];
        store(c + i * c_row + first + v * kLanes, sum[v]);
      }
    }
    packed += static_cast<std::ptrdiff_t>(depth) * step;
  });
}

/// `outer` of rows that are nearly all zeros.
inline void outer_sparse(const Nonzeros& a, const float* d, std::ptrdiff_t d_row, int width,
                         int rows, float* c, std::ptrdiff_t c_row) {
  for (int i = 0; i < rows; ++i) {
    for (int k = 0; k < a.count[i]; ++k) {
      float* to = c + a.index[i * a.stride + k] * c_row;
      const float value = a.value[i * a.stride + k];
      for (int j = 0; j < width; j += kLanes) {
        store(to + j, load(to + j) + load(d + i * d_row + j) * value);
      }
    }
  }
}

/// c[j] += sum_i a[i][j]
inline void add_rows(const float* a, std::ptrdiff_t a_row, int rows, int width, float* c) {
  constexpr int kTogether = 8;  // sums that do not wait for one another
  for (int j = 0; j < width; j += kTogether * kLanes) {
    const int left = (width - j) / kLanes, vectors = left < kTogether ? left : kTogether;
    Vector sum[kTogether];
    for (int v = 0; v < vectors; ++v) sum[v] = load(c + j + v * kLanes);
    if (vectors == kTogether) {
      for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 8
        for (int v = 0; v < kTogether; ++v) sum[v] += load(a + i * a_row + j + v * kLanes);
      }
    } else {
      for (int v = 0; v < vectors; ++v) {
        Vector even{}, odd{};
        int i = 0;
        for (; i + 1 < rows; i += 2) {
          even += load(a + i * a_row + j + v * kLanes);
          odd += load(a + (i + 1) * a_row + j + v * kLanes);
        }
        if (i < rows) even += load(a + i * a_row + j + v * kLanes);
        sum[v] += even + odd;
      }
    }
    for (int v = 0; v < vectors; ++v) store(c + j + v * kLanes, sum[v]);
  }
}

/// c[k][j] += sum_i a[i][k] d[i][j]: the gradient of weights over a block of rows. Columns of a are
/// read up to the next multiple of kTileRows, and as many rows of c are written.
inline void outer(const float* a, std::ptrdiff_t a_row, int columns, const float* d,
                  std::ptrdiff_t d_row, int used, int rows, float* c, std::ptrdiff_t c_row) {
  const Finish finish{.add = true};
  panels(padded(used, kLanes), [&](int first, int vectors) {
    tiles(vectors, used - first, padded(columns, kTileRows), [&]<class Of, int C, int Rows>(int k) {
      tile<Of, C, Rows>(a + k, 1, a_row, rows, d + first, d_row, c + k * c_row + first, c_row,
                        finish);
    });
  });
}

}  // namespace ASCORE_NN_ISA
}  // namespace ascore::nn
