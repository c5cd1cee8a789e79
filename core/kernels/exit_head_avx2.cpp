// An exit's head compiled for AVX2 and FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif
#include "core/kernels/exit_head_lanes.h"

namespace branchy::kernels {

const ExitHeadKernels& exit_head_avx2(std::int64_t lanes) {
  return lanes == 16 ? ExitHeadLanes<16>::kKernels : ExitHeadLanes<8>::kKernels;
}

}  // namespace branchy::kernels
