// Calibration of a multi-exit network: which samples each exit's temperature is fitted on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layers/model_file.h"
#include "train/calibration_metrics.h"
#include "train/logits_cache.h"
#include "train/temperature_fit.h"

namespace branchy {

enum class CalibrationMode {
  kAll,          ///< each exit on all samples
  kAsPublished,  ///< each exit on the samples that end there (Pacheco et al. 2021)
  kOne,          ///< one temperature for all exits, on all samples of all exits
};

/// "all", "as-published" or "one"; throws ConfigError for another.
[[nodiscard]] CalibrationMode parse_calibration_mode(std::string_view text);
[[nodiscard]] std::string_view mode_name(CalibrationMode mode);

struct CalibrationOptions {
  CalibrationMode mode = CalibrationMode::kAll;
  double p_tar = 0.0;  ///< of kAsPublished: 0..1
};

/// What was fitted, by exit (index 0 is exit 1).
struct Calibration {
  CalibrationOptions options;
  std::vector<TemperatureFit> fits;

  /// As models store them: float32, 1 where the fit was refused.
  [[nodiscard]] std::vector<float> temperatures() const;
};

/// 1. Fits on the raw logits of `cache`, whatever the model's temperatures were.
/// 2. kAsPublished routes by uncalibrated confidences: a sample ends at the first exit whose
///    confidence reaches p_tar (equality ends), else at the final one; the thresholds that follow
///    hold for other temperatures, as in the paper.
/// 3. A refused fit leaves its exit at 1. Throws DataError when every fit is refused, with the
///    reasons; ConfigError for a p_tar outside 0..1 or one that the mode does not take.
[[nodiscard]] Calibration calibrate(const LogitsCache& cache, const CalibrationOptions& options);

/// Replaces the model's temperatures and its records calibration.*: mode, p_tar (kAsPublished),
/// samples (of each exit), select_on (the cache's part), data_checksum.
void store_calibration(ModelInfo& info, const Calibration& calibration, const LogitsCache& cache);

/// Every measure of every exit over all samples of a cache, at temperature 1 and after.
struct CalibrationEffect {
  std::string part;  ///< of the cache
  std::string data_checksum;
  std::vector<CalibrationMetrics> before = {}, after = {};  ///< [exit - 1]

  /// Mean over exits.
  [[nodiscard]] double mean_ece_before() const;
  [[nodiscard]] double mean_ece_after() const;
};

/// Throws Error if a temperature changed a class: then scores and answers no longer belong
/// together.
[[nodiscard]] CalibrationEffect calibration_effect(const LogitsCache& cache,
                                                   const std::vector<float>& temperatures);

}  // namespace branchy
