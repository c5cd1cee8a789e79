// Linear layer in panels, compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,f16c,prefer-vector-width=512")
#endif
#include "core/kernels/linear_panels_lanes.h"

namespace branchy::kernels {

const LinearPanelsKernels& linear_panels_avx512(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx512;
  return lanes == 16 ? LinearPanelsLanes<16, kSet>::kKernels : LinearPanelsLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
