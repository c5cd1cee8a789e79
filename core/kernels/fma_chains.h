// Independent chains of multiply-adds in registers: the most arithmetic that a core can do.
#pragma once

#include <cstdint>

namespace branchy::kernels {

struct FmaChains {
  /// Takes each of the chains `count` links further; gives something that depends on all of them.
  float (*run)(std::int64_t count);
  std::int64_t flops_per_link;  ///< of all chains together; a multiply-add is two
};

/// The lanes are the caller's (best_kernels); each table has the width of its instruction set. The
/// first runs everywhere, the others need their CPUs.
[[nodiscard]] const FmaChains& fma_chains_portable(std::int64_t lanes);
[[nodiscard]] const FmaChains& fma_chains_avx2(std::int64_t lanes);
[[nodiscard]] const FmaChains& fma_chains_avx512(std::int64_t lanes);

}  // namespace branchy::kernels
