#include "core/machine_ceiling.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>

#include "core/kernels/fma_chains.h"
#include "core/kernels/instruction_sets.h"
#include "core/kernels/parallel.h"

namespace branchy {

namespace {

/// Median seconds of some runs, after one that is not measured.
template <typename Body>
double median_seconds(const Body& body) {
  using Clock = std::chrono::steady_clock;
  std::array<double, 9> seconds{};
  body();
  for (double& each : seconds) {
    const Clock::time_point start = Clock::now();
    body();
    each = std::chrono::duration<double>(Clock::now() - start).count();
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

double measure_gflops() {
  const kernels::FmaChains& chains = kernels::best_kernels<kernels::FmaChains>(
      16, &kernels::fma_chains_portable, &kernels::fma_chains_avx2, &kernels::fma_chains_avx512);
  constexpr std::int64_t kLinks = 1 << 21;  // about 10 ms
  float kept = 0;
  int threads = 1;
  const double seconds = median_seconds([&] {
#pragma omp parallel reduction(+ : kept)
    {
#pragma omp single
      threads = omp_get_num_threads();
      kept += chains.run(kLinks);
    }
  });
  volatile float sink = kept;  // or the chains would be left out
  static_cast<void>(sink);
  return threads * static_cast<double>(kLinks * chains.flops_per_link) / seconds * 1e-9;
}

BRANCHY_SIMD_CLONES void scale(const float* src, float* dst, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) dst[i] = 1.5F * src[i];
}

double measure_gb_per_second() {
  constexpr std::int64_t kValues = std::int64_t{16} << 20;  // 64 MiB of each
  const auto src = std::make_unique_for_overwrite<float[]>(kValues);
  const auto dst = std::make_unique_for_overwrite<float[]>(kValues);
  kernels::parallel_ranges(kValues, [&](std::int64_t begin, std::int64_t end) {
    std::fill(src.get() + begin, src.get() + end, 1.0F);  // by the thread that will read it
  });
  const double seconds = median_seconds([&] {
    kernels::parallel_ranges(kValues, [&](std::int64_t begin, std::int64_t end) {
      scale(src.get() + begin, dst.get() + begin, end - begin);
    });
  });
  return 2.0 * sizeof(float) * static_cast<double>(kValues) / seconds * 1e-9;
}

}  // namespace

MachineCeiling measure_machine_ceiling() {
  return {.gflops = measure_gflops(), .gb_per_second = measure_gb_per_second()};
}

}  // namespace branchy
