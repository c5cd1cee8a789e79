// Linear layer in panels, compiled for AVX2, FMA and F16C.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma,f16c")
#endif
#include "core/kernels/linear_panels_lanes.h"

namespace branchy::kernels {

const LinearPanelsKernels& linear_panels_avx2(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx2;
  return lanes == 16 ? LinearPanelsLanes<16, kSet>::kKernels : LinearPanelsLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
