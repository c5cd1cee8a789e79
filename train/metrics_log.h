// MetricsLog: metrics.jsonl (steps and epochs) and metrics.csv (epochs) of a run folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace branchy {

struct StepMetrics {
  std::int64_t epoch = 0, step = 0;  ///< epoch from 1; step counts finished steps
  double rate = 0.0, loss = 0.0;
  std::vector<double> exit_losses;
};

struct EpochMetrics {
  std::int64_t epoch = 0, step = 0;
  double rate = 0.0, train_loss = 0.0, val_loss = 0.0;
  std::vector<double> train_accuracy, val_accuracy;  ///< by exit, 0..1; val empty without images
  double images_per_second = 0.0, loader_wait_seconds = 0.0, seconds = 0.0;
  std::int64_t peak_bytes = 0;  ///< the most that the process has had in memory so far
};

/// Appends; a resumed run first drops what is newer than its checkpoint.
class MetricsLog {
 public:
  /// Keeps lines up to `step` of existing files, drops the others. Throws IoError.
  MetricsLog(const std::filesystem::path& folder, std::int64_t step, std::int64_t num_exits);

  void append(const StepMetrics& metrics);
  void append(const EpochMetrics& metrics);

 private:
  std::ofstream jsonl_, csv_;
};

}  // namespace branchy
