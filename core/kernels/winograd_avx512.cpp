// Winograd convolution, compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,f16c,prefer-vector-width=512")
#endif
#include "core/kernels/winograd_lanes.h"

namespace branchy::kernels {

const WinogradKernels& winograd_avx512(std::int64_t lanes) {
  constexpr InstructionSet kSet = InstructionSet::kAvx512;
  return lanes == 16 ? WinogradLanes<16, kSet>::kKernels : WinogradLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
