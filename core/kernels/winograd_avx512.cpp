// Winograd convolution, compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#endif
#include "core/kernels/winograd_lanes.h"

namespace branchy::kernels {

const WinogradKernels& winograd_avx512(std::int64_t lanes) {
  return lanes == 16 ? WinogradLanes<16>::kKernels : WinogradLanes<8>::kKernels;
}

}  // namespace branchy::kernels
