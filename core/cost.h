// Cost: what a layer computes for one sample, in three named counting conventions.
#pragma once

#include <cstdint>
#include <string>

namespace branchy {

/// Counts for one sample. The conventions are defined in layers/COST.md.
struct Cost {
  std::int64_t ptflops =
      0;  ///< counting convention of Dong et al. (conv, bias, BN 2, ReLU 1, pool input)
  std::int64_t pthflops =
      0;  ///< counting convention of Pacheco et al. (conv, linear with bias, BN 2, add 2)
  std::int64_t macs = 0;      ///< multiply-adds of convolutions and linear layers only
  std::int64_t executed = 0;  ///< ptflops plus what that convention leaves out but is computed
                              ///< (ReLU after a sum, residual add, sigmoid, channel scaling)
  std::int64_t parameters = 0;
  std::int64_t bytes_moved = 0;  ///< float32 input, output and parameters, each once

  Cost& operator+=(const Cost& other) {
    ptflops += other.ptflops;
    pthflops += other.pthflops;
    macs += other.macs;
    executed += other.executed;
    parameters += other.parameters;
    bytes_moved += other.bytes_moved;
    return *this;
  }
  friend Cost operator+(Cost a, const Cost& b) { return a += b; }
  friend bool operator==(const Cost&, const Cost&) = default;
};

}  // namespace branchy
