// Batch normalisation compiled for AVX2 and FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif
#include "core/kernels/batch_norm_lanes.h"

namespace branchy::kernels {

const BatchNormKernels& batch_norm_avx2(std::int64_t lanes) {
  constexpr auto kSet = InstructionSet::kAvx2;
  return lanes == 16 ? BatchNormLanes<16, kSet>::kKernels : BatchNormLanes<8, kSet>::kKernels;
}

}  // namespace branchy::kernels
