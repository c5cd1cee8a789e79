// Winograd inference, compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,f16c,prefer-vector-width=512")
#endif
#include "core/kernels/inference_winograd_lanes.h"

namespace branchy::kernels {

const InferenceWinogradKernels& inference_winograd_avx512(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx512;
  return lanes == 16 ? InferenceWinogradLanes<16, kSet>::kKernels
                     : InferenceWinogradLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
