// Evaluation of a trained network on its lowered plan, the one that the serving programs run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "infer/exit_runner.h"
#include "infer/plan.h"
#include "infer/policies/max_probability.h"
#include "layers/model_file.h"
#include "layers/network.h"

namespace branchy {

/// What every exit says of every sample: `predictions[exit - 1][sample]`.
struct ExitPredictions {
  std::vector<std::vector<Prediction>> predictions;
  std::vector<std::int64_t> labels;
};

/// What may look on while a data set is predicted, batch by batch.
struct PredictionTaps {
  std::function<void(double)> progress;  ///< gets 0..1
  std::function<void(const Batch&)> batch = {};
  std::function<void(const ExitOutput&)> output = {};
};

/// Runs all exits of `plan`, the lowered network of a model, over the data set, in order, in
/// batches; images are normalised and confidences softened by its temperatures as `info` says.
[[nodiscard]] ExitPredictions predict_dataset(const std::shared_ptr<const Plan>& plan,
                                              std::shared_ptr<const Dataset> dataset,
                                              const ModelInfo& info, std::int64_t batch,
                                              const PredictionTaps& taps);

/// Accuracy of all samples at each exit, 0..1.
[[nodiscard]] std::vector<double> accuracy_of_all(const ExitPredictions& data);

/// Which exit each sample takes: the first early exit whose confidence reaches its threshold, else
/// the final one. `thresholds` has one value for each early exit.
[[nodiscard]] std::vector<std::int64_t> route(const ExitPredictions& data,
                                              std::span<const float> thresholds);

/// What a threshold gives, by exit (index 0 is exit 1).
struct ExitReport {
  std::int64_t samples = 0;
  double share = 0.0;
  double accuracy = 0.0;               ///< of the samples that take this exit; NaN when none does
  std::int64_t device_operations = 0;  ///< on-device count of a sample that takes it (ptflops)
};
struct ThresholdReport {
  std::vector<ExitReport> exits;
  double accuracy = 0.0;                ///< of all samples
  double mean_device_operations = 0.0;  ///< eq. 3 of Dong et al.: all early exits on the device
};
[[nodiscard]] ThresholdReport report_threshold(const ExitPredictions& data,
                                               std::span<const float> thresholds,
                                               const MultiExitNetwork& network);

}  // namespace branchy
