#include "train/step_profiler.h"

#include <fmt/core.h>

#include <cstdio>
#include <utility>

#include "core/atomic_file.h"

namespace branchy {

StepProfiler::StepProfiler(std::int64_t steps, std::string network, std::int64_t batch,
                           std::filesystem::path folder)
    : run_{.network = std::move(network), .batch = batch, .ceiling = measure_machine_ceiling()},
      steps_(steps),
      folder_(std::move(folder)) {}

StepProfile* StepProfiler::next_step() {
  const std::int64_t profiled = begun_++ - kWarmUp;
  if (profiled < 0) return nullptr;
  if (profiled < steps_) return &profile_;
  report();
  return nullptr;
}

void StepProfiler::report() {
  if (std::exchange(reported_, true)) return;
  if (profile_.num_steps() == 0) {
    fmt::print(stderr, "no step was profiled: the run ended within the {} that warm up\n", kWarmUp);
    return;
  }
  fmt::print("{}", profile_table(profile_, run_));
  std::fflush(stdout);
  write_file_atomically(folder_ / "profile.json", profile_json(profile_, run_));
}

}  // namespace branchy
