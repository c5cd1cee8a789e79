// StepProfiler: profiles a few steps of a run and reports them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/step_profile.h"
#include "train/step_profile_report.h"

namespace branchy {

class StepProfiler {
 public:
  /// Steps before the profiled ones: primitives and memory are made in them.
  static constexpr std::int64_t kWarmUp = 3;

  /// Measures the ceiling. `folder`: where profile.json goes.
  StepProfiler(std::int64_t steps, std::string network, std::int64_t batch,
               std::filesystem::path folder);

  /// What the step that begins now is added to: null in the warm-up, and behind the last one, where
  /// it reports.
  [[nodiscard]] StepProfile* next_step();
  /// Prints the table and writes profile.json, once; says so when no step was profiled.
  void report();

 private:
  StepProfile profile_;
  ProfiledRun run_;
  std::int64_t steps_, begun_ = 0;
  std::filesystem::path folder_;
  bool reported_ = false;
};

}  // namespace branchy
