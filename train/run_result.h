// result.json of a finished run: accuracies with everything needed to repeat them.
#pragma once

#include <string>

#include "train/checkpoint.h"
#include "train/train_options.h"
#include "train/validation.h"

namespace branchy {

/// What a result says about its images.
struct DataRecord {
  std::string checksum;
  std::string split;  ///< DataSource::description()
};

/// Writes `<out>/result.json`: command line, resolved configuration, commit, seed, CPU, threads,
/// library versions, data checksum and split, wall time, peak resident memory and the test accuracy
/// of every exit, by the last weights.
void write_run_result(const TrainOptions& options, const TrainingProgress& progress,
                      const DataRecord& data, const ValidationResult& test);

}  // namespace branchy
