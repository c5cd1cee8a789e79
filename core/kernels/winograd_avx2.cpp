// Winograd convolution, compiled for AVX2 and FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma,f16c")
#endif
#include "core/kernels/winograd_lanes.h"

namespace branchy::kernels {

const WinogradKernels& winograd_avx2(std::int64_t lanes) {
  constexpr InstructionSet kSet = InstructionSet::kAvx2;
  return lanes == 16 ? WinogradLanes<16, kSet>::kKernels : WinogradLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
