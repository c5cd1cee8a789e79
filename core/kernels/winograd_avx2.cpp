// Winograd convolution, compiled for AVX2 and FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif
#include "core/kernels/winograd_lanes.h"

namespace branchy::kernels {

const WinogradKernels& winograd_avx2(std::int64_t lanes) {
  return lanes == 16 ? WinogradLanes<16>::kKernels : WinogradLanes<8>::kKernels;
}

}  // namespace branchy::kernels
