// Depth-wise convolution behind a batch norm, compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#endif
#include "core/kernels/norm_depthwise_lanes.h"

namespace branchy::kernels {

const NormDepthwiseKernels& norm_depthwise_avx512(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx512;
  return lanes == 16 ? NormDepthwiseLanes<16, kSet>::kKernels
                     : NormDepthwiseLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
