// Which of the loops that are compiled for several instruction sets this CPU runs.
#pragma once

#include <cstdint>

namespace branchy::kernels {

/// Whether loops that are compiled for AVX-512 run here.
inline bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#else
  return false;
#endif
}

/// A table of loops for blocks of 8 or 16 lanes.
template <typename Kernels>
using KernelsOf = const Kernels& (*)(std::int64_t lanes);

/// The fastest of three; the first must run everywhere.
template <typename Kernels>
const Kernels& best_kernels(std::int64_t lanes, KernelsOf<Kernels> portable,
                            [[maybe_unused]] KernelsOf<Kernels> avx2,
                            [[maybe_unused]] KernelsOf<Kernels> avx512) {
#if defined(__x86_64__)
  if (lanes == 16 && has_avx512()) return avx512(lanes);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2(lanes);
#endif
  return portable(lanes);
}

}  // namespace branchy::kernels
