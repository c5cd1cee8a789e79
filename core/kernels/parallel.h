// Splits element-wise work over the threads: contiguous ranges, multiples of a cache line.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

// GCC compiles the function once per instruction set and picks at run time. Sanitized builds and
// other compilers take the portable version.
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && defined(__x86_64__)
#define BRANCHY_SIMD_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define BRANCHY_SIMD_CLONES
#endif

namespace branchy::kernels {

/// Below this many elements a parallel region costs more than it saves.
inline constexpr std::int64_t kSerialBelow = 16384;

/// Calls `body(begin, end)` on disjoint ranges that cover 0 .. n. `body` must not throw.
template <typename Body>
void parallel_ranges(std::int64_t n, const Body& body) {
  if (n < kSerialBelow) {
    body(std::int64_t{0}, n);
    return;
  }
#pragma omp parallel
  {
    constexpr std::int64_t kLine = 16;  // floats of a cache line
    const std::int64_t threads = omp_get_num_threads();
    const std::int64_t lines = (n + kLine - 1) / kLine;
    const std::int64_t share = (lines + threads - 1) / threads * kLine;
    const std::int64_t begin = std::min(n, share * omp_get_thread_num());
    const std::int64_t end = std::min(n, begin + share);
    if (begin < end) body(begin, end);
  }
}

}  // namespace branchy::kernels
