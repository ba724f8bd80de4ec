#define ASCORE_NN_ISA avx512
#include "ascore/nn/passes.hpp"

namespace ascore::nn {

const Passes& avx512_passes() {
  static constexpr Passes kPasses = passes("avx512");
  return kPasses;
}

}  // namespace ascore::nn
