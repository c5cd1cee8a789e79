// Chains of multiply-adds compiled for AVX2 and FMA.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif
#include "core/kernels/fma_chains_lanes.h"

namespace branchy::kernels {

const FmaChains& fma_chains_avx2(std::int64_t) {
  using Lanes = float __attribute__((vector_size(8 * sizeof(float))));
  return FmaChainsOf<Lanes>::kTable;
}

}  // namespace branchy::kernels
