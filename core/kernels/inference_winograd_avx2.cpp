// Winograd inference, compiled for AVX2, FMA and F16C.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma,f16c")
#endif
#include "core/kernels/inference_winograd_lanes.h"

namespace branchy::kernels {

const InferenceWinogradKernels& inference_winograd_avx2(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx2;
  return lanes == 16 ? InferenceWinogradLanes<16, kSet>::kKernels
                     : InferenceWinogradLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
