#define ASCORE_NN_ISA avx2
#include "ascore/nn/passes.hpp"

namespace ascore::nn {

const Passes& avx2_passes() {
  static constexpr Passes kPasses = passes("avx2");
  return kPasses;
}

}  // namespace ascore::nn
