#include "core/kernels/ceilings.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "core/buffer_pool.h"
#include "core/kernels/parallel.h"

namespace branchy::kernels {

namespace {

using Lanes8 = float __attribute__((vector_size(8 * sizeof(float))));
using Lanes16 = float __attribute__((vector_size(16 * sizeof(float))));

constexpr int kChains = 12;  // latency of an FMA times FMAs a cycle, at least
constexpr std::int64_t kRounds = 2'000'000;

/// a = a b + c on independent chains; gives a value so that nothing is optimised away.
template <typename Lanes>
[[gnu::always_inline]] inline float multiply_add(std::int64_t rounds) {
  Lanes chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = Lanes{} + static_cast<float>(i);
  const Lanes b = Lanes{} + 0.999F;
  const Lanes c = Lanes{} + 0.001F;
  for (std::int64_t k = 0; k < rounds; ++k)
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * b + c;
  float sum = 0.0F;
  for (int i = 0; i < kChains; ++i) sum += chains[i][0];
  return sum;
}

float multiply_add_portable(std::int64_t rounds) { return multiply_add<Lanes8>(rounds); }
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] float multiply_add_avx2(std::int64_t rounds) {
  return multiply_add<Lanes8>(rounds);
}
[[gnu::target("avx512f,prefer-vector-width=512")]] float multiply_add_avx512(std::int64_t rounds) {
  return multiply_add<Lanes16>(rounds);
}
#endif

struct Loop {
  float (*run)(std::int64_t rounds);
  std::int64_t lanes;
};

Loop best_loop() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {multiply_add_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {multiply_add_avx2, 8};
#endif
  return {multiply_add_portable, 8};
}

BRANCHY_SIMD_CLONES void scale_range(const float* from, float* to, std::int64_t begin,
                                     std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) to[i] = 0.5F * from[i];
}

/// The shortest time of a few runs, in seconds.
template <typename Run>
double shortest(const Run& run) {
  double best = 1e9;
  for (int i = 0; i < 4; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double flops_per_second() {
  const Loop loop = best_loop();
  const std::int64_t threads = omp_get_max_threads();
  float sink = 0.0F;
  const double seconds = shortest([&] {
#pragma omp parallel reduction(+ : sink)
    sink += loop.run(kRounds);
  });
  volatile float kept = sink;
  static_cast<void>(kept);
  return static_cast<double>(2 * threads * kRounds * kChains * loop.lanes) / seconds;
}

double bytes_per_second() {
  constexpr std::int64_t kFloats = std::int64_t{32} << 20U;
  const Buffer from(kFloats * sizeof(float));
  const Buffer to(kFloats * sizeof(float));
  parallel_ranges(kFloats, [&](std::int64_t begin, std::int64_t end) {
    std::fill(from.floats() + begin, from.floats() + end, 1.0F);
  });
  const double seconds = shortest([&] {
    parallel_ranges(kFloats, [&](std::int64_t begin, std::int64_t end) {
      scale_range(from.floats(), to.floats(), begin, end);
    });
  });
  return static_cast<double>(2 * kFloats) * sizeof(float) / seconds;
}

}  // namespace

Ceilings measure_ceilings() {
  const Ceilings ceilings{flops_per_second(), bytes_per_second()};
  buffer_pool::trim();
  return ceilings;
}

}  // namespace branchy::kernels
