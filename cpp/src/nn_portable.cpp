#define ASCORE_NN_ISA portable
#include "ascore/nn/passes.hpp"

namespace ascore::nn {

const Passes& portable_passes() {
  static constexpr Passes kPasses = passes("portable");
  return kPasses;
}

}  // namespace ascore::nn
