/// What agents anticipate of those they hear, summed over the rows of a batch: for metrics.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ascore/nn/job.hpp"
#include "ascore/nn/simd.hpp"

namespace ascore::nn {
inline namespace ASCORE_NN_ISA {

/// Adds to `sums` [2 + meanings + A], over all rows and all agents j that the owner i hears: their
/// number; (pi^{jj}(a_j|s) - pi^{ij}(a_j|s))^2; pi^{ij} of the action of each meaning, of which
/// `meant` [meanings, S, K] tells the numbers; pi^{ij}(.|s). It takes less scratch memory than
/// `Tiles`.
inline void anticipated_pass(const Actors& actors, const Samples& samples, int owner,
                             const std::int32_t* meant, int meanings, double* sums,
                             float* scratch) {
  const std::ptrdiff_t h = actors.heads, a = actors.actions, wide = h * a, known = actors.known();
  const bool fixed = samples.heard_row == 0;
  float* const p = scratch;                   // [rows, H, A], pi^{ij}(.|s)
  float* const chosen = p + kBlock * wide;    // [rows, H], pi^{ij}(a_j|s)
  float* const theirs = chosen + kBlock * h;  // [rows], pi^{jj}(a_j|s)
  for (std::int64_t first = 0; first < samples.rows; first += kBlock) {
    const std::int64_t left = samples.rows - first;
    const int rows = left < kBlock ? static_cast<int>(left) : kBlock;
    const std::ptrdiff_t at = owner * samples.rows + first;
    const float* const sent = samples.sent + at * wide;
    const float* const old = samples.old + at * h;
    for (std::ptrdiff_t k = 0; k < rows * wide; ++k) p[k] = exp(sent[k]);
    for (std::ptrdiff_t k = 0; k < rows * h; ++k) chosen[k] = exp(old[k]);
    for (int head = 0; head < actors.heads; ++head) {
      const std::uint8_t* const heard =
          samples.heard + first * samples.heard_row + owner * h + head;
      if (fixed && *heard == 0) continue;
      const int subject = actors.subject(owner, head);
      if (subject < 0) continue;
      const float* const own =
          samples.old + (subject * samples.rows + first) * h + actors.own_head(subject);
      for (int r = 0; r < rows; ++r) theirs[r] = exp(own[r * h]);
      float count = 0.0f, square = 0.0f;
      for (int r = 0; r < rows; ++r) {
        const float weight = heard[r * samples.heard_row] != 0 ? 1.0f : 0.0f;
        const float gap = theirs[r] - chosen[r * h + head];
        count += weight;
        square += weight * gap * gap;
      }
      sums[0] += static_cast<double>(count);
      sums[1] += static_cast<double>(square);
      const float* const mine = p + head * a;
      for (int m = 0; m < meanings; ++m) {
        const std::int32_t* const action = meant + (m * samples.rows + first) * known + subject;
        float total = 0.0f;
        for (int r = 0; r < rows; ++r) {
          if (heard[r * samples.heard_row] != 0) total += mine[r * wide + action[r * known]];
        }
        sums[2 + m] += static_cast<double>(total);
      }
      for (int x = 0; x < actors.actions; ++x) {
        float total = 0.0f;
        for (int r = 0; r < rows; ++r) {
          total += (heard[r * samples.heard_row] != 0 ? 1.0f : 0.0f) * mine[r * wide + x];
        }
        sums[2 + meanings + x] += static_cast<double>(total);
      }
    }
  }
}

}  // namespace ASCORE_NN_ISA
}  // namespace ascore::nn
