// Chains of multiply-adds compiled for any CPU.
#include "core/kernels/fma_chains_lanes.h"

namespace branchy::kernels {

const FmaChains& fma_chains_portable(std::int64_t) {
  using Lanes = float __attribute__((vector_size(4 * sizeof(float))));
  return FmaChainsOf<Lanes>::kTable;
}

}  // namespace branchy::kernels
