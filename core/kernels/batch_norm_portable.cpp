// Batch normalisation compiled for any CPU.
#include "core/kernels/batch_norm_lanes.h"

namespace branchy::kernels {

const BatchNormKernels& batch_norm_portable(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kPortable;
  return lanes == 16 ? BatchNormLanes<16, kSet>::kKernels : BatchNormLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
