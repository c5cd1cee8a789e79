// MachineCeiling: the most that this machine computes and moves now, to judge other figures by.
#pragma once

namespace branchy {

struct MachineCeiling {
  double gflops = 0;         ///< multiply-adds in registers, 1e9 operations/s, two each
  double gb_per_second = 0;  ///< dst = factor src over more than the caches hold: read and written
};

/// Measures it on the threads of `set_num_threads`, all at once: medians, so that a machine which
/// others disturb shows. Takes about half a second and 128 MiB, which it gives back.
[[nodiscard]] MachineCeiling measure_machine_ceiling();

}  // namespace branchy
