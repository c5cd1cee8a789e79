// branchy-bench: Google Benchmark over operations and whole steps; its own flags beside
// --benchmark_*.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/provenance.h"
#include "core/threads.h"
#include "infer/command_line.h"
#include "tests/bench/bench_settings.h"

namespace {

int run(branchy::bench::BenchSettings settings) {
  namespace bench = branchy::bench;
  branchy::set_num_threads(settings.threads);
  settings.ceiling = branchy::measure_machine_ceiling();
  for (const auto& [key, value] : branchy::provenance()) benchmark::AddCustomContext(key, value);
  benchmark::AddCustomContext("ceiling_gflops", fmt::format("{:.1f}", settings.ceiling.gflops));
  benchmark::AddCustomContext("ceiling_gb_per_second",
                              fmt::format("{:.1f}", settings.ceiling.gb_per_second));
  bench::register_convolutions(settings);
  bench::register_batch_norms(settings);
  bench::register_poolings(settings);
  bench::register_linear_layers(settings);
  bench::register_optimizers(settings);
  bench::register_network_steps(settings);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  CLI::App app(
      "Benchmarks of operations and whole steps, with the shapes of the four networks; beside "
      "these flags those of Google Benchmark: --benchmark_filter=REGEX, "
      "--benchmark_out=FILE.json, --benchmark_min_time=SECONDS, --benchmark_list_tests",
      "branchy-bench");
  branchy::bench::BenchSettings settings{.threads = branchy::num_available_cpus(), .ceiling = {}};
  app.add_option("--threads", settings.threads, "Compute threads")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--batch", settings.batch,
                 "Images an iteration (default: as the networks are trained; inference 1 and 32)")
      ->check(CLI::Range(1, 1 << 16));
  return branchy::run_command_line(app, argc, argv, [&] { return run(settings); });
}
