// What the threads at hand can do at most: the yardstick of every speed.
#pragma once

namespace branchy::kernels {

struct Ceilings {
  double flops_per_second = 0.0;  ///< fused multiply-adds on registers, two operations each
  double bytes_per_second = 0.0;  ///< scaling an array that fits into no cache: read and written
};

/// Measured now, on all compute threads, in about a third of a second; the best of a few rounds.
/// Takes 256 MiB for the moment, and empties the BufferPool: call it before the warm-up.
[[nodiscard]] Ceilings measure_ceilings();

}  // namespace branchy::kernels
