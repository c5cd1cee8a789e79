// result.json of a finished run: accuracies with everything needed to repeat them.
#pragma once

#include <string>

#include "train/checkpoint.h"
#include "train/train_options.h"
#include "train/validation.h"

namespace branchy {

/// Writes `<out>/result.json`: command line, resolved configuration, commit, seed, CPU, threads,
/// library versions, data checksum, wall time and the test accuracy of every exit.
void write_run_result(const TrainOptions& options, const TrainingProgress& progress,
                      const std::string& data_checksum, const ValidationResult& test);

}  // namespace branchy
