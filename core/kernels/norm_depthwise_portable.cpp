// Depth-wise convolution behind a batch norm, compiled for any CPU.
#include "core/kernels/norm_depthwise_lanes.h"

namespace branchy::kernels {

const NormDepthwiseKernels& norm_depthwise_portable(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kPortable;
  return lanes == 16 ? NormDepthwiseLanes<16, kSet>::kKernels
                     : NormDepthwiseLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
