// Chains of multiply-adds. Compiled once per instruction set by fma_chains_*.cpp; nobody else
// includes it.
#pragma once

#include "core/kernels/fma_chains.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

/// `Lanes` is a vector type of floats.
template <typename Lanes>
struct FmaChainsOf {
  // Two multiply-adds a cycle with a latency of four want eight; twelve and their two constants fit
  // into the sixteen registers of AVX2.
  static constexpr int kChains = 12;

  static float run(std::int64_t count) {
    const Lanes factor = Lanes{} + 0.999F;
    const Lanes addend = Lanes{} + 0.001F;
    Lanes chains[kChains];
    for (int i = 0; i < kChains; ++i) chains[i] = Lanes{} + static_cast<float>(i);
    for (std::int64_t link = 0; link < count; ++link)
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + addend;
    Lanes sum = {};
    for (int i = 0; i < kChains; ++i) sum += chains[i];
    return sum[0];
  }

  static constexpr FmaChains kTable{&run, 2 * kChains * sizeof(Lanes) / sizeof(float)};
};

}  // namespace

}  // namespace branchy::kernels
