// Chains of multiply-adds compiled for AVX-512.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512")
#endif
#include "core/kernels/fma_chains_lanes.h"

namespace branchy::kernels {

const FmaChains& fma_chains_avx512(std::int64_t) {
  using Lanes = float __attribute__((vector_size(16 * sizeof(float))));
  return FmaChainsOf<Lanes>::kTable;
}

}  // namespace branchy::kernels
