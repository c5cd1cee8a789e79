// What a benchmark does again and again, with its work by second and as a share of what the machine
// gives.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <type_traits>

#include "tests/bench/bench_settings.h"

namespace branchy::bench {

/// Of one iteration. A multiply-add is two operations; bytes are those of inputs and outputs, each
/// once, so caches can make a share of more than 100 %. 0: not told.
struct Work {
  double flops = 0, bytes = 0, images = 0;
};

inline void set_rates(benchmark::State& state, const Work& work, double iterations_a_second,
                      const MachineCeiling& ceiling) {
  const double gflops = 1e-9 * work.flops * iterations_a_second;
  const double gb_per_second = 1e-9 * work.bytes * iterations_a_second;
  if (work.flops > 0) {
    state.counters["GFLOP/s"] = gflops;
    state.counters["%FLOP/s"] = 100.0 * gflops / ceiling.gflops;
  }
  if (work.bytes > 0) {
    state.counters["GB/s"] = gb_per_second;
    state.counters["%GB/s"] = 100.0 * gb_per_second / ceiling.gb_per_second;
  }
  if (work.images > 0) state.counters["images/s"] = work.images * iterations_a_second;
}

/// Runs `body` once for its caches, then as often as the library wants.
template <typename Body>
void repeat(benchmark::State& state, const Work& work, const BenchSettings& settings, Body body) {
  using Clock = std::chrono::steady_clock;
  const auto once = [&] {
    if constexpr (std::is_void_v<std::invoke_result_t<Body>>)
      body();
    else
      benchmark::DoNotOptimize(body());
  };
  once();
  const Clock::time_point start = Clock::now();
  for (auto _ : state) once();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  set_rates(state, work, static_cast<double>(state.iterations()) / seconds, settings.ceiling);
}

}  // namespace branchy::bench
