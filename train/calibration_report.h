// What `branchy calibrate` says: a table for people, a JSON file for plots.
#pragma once

#include <string>
#include <vector>

#include "train/calibration.h"

namespace branchy {

struct CalibrationReport {
  std::string model, model_digest;
  Calibration calibration;
  std::vector<CalibrationEffect> effects = {};  ///< on the data of the fit, then on test data
};

/// Temperatures with what they were fitted on, then each effect before and after.
[[nodiscard]] std::string calibration_text(const CalibrationReport& report);

/// provenance(), `model`, `mode`, `exits` (temperature, status, samples of the fit), and `effects`:
/// one a data set, with every measure and the reliability bins of each exit `before` and `after`.
/// A measure that the samples do not define is null. Confidences and accuracies are 0..1.
[[nodiscard]] std::string calibration_json(const CalibrationReport& report);

}  // namespace branchy
