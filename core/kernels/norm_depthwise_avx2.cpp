// Depth-wise convolution behind a batch norm, compiled for AVX2 and FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif
#include "core/kernels/norm_depthwise_lanes.h"

namespace branchy::kernels {

const NormDepthwiseKernels& norm_depthwise_avx2(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx2;
  return lanes == 16 ? NormDepthwiseLanes<16, kSet>::kKernels
                     : NormDepthwiseLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
