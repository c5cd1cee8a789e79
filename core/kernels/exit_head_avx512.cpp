// An exit's head compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#endif
#include "core/kernels/exit_head_lanes.h"

namespace branchy::kernels {

const ExitHeadKernels& exit_head_avx512(std::int64_t lanes) {
  return lanes == 16 ? ExitHeadLanes<16>::kKernels : ExitHeadLanes<8>::kKernels;
}

}  // namespace branchy::kernels
