// SettingGrid: every combination of thresholds on a grid, evaluated once; the best and the nearest
// under a limit on the mean latency.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "infer/latency_model.h"
#include "train/threshold_setting.h"

namespace branchy {

/// The grid's thresholds. Without gammas: policies without predictor.
struct GridAxes {
  std::vector<float> lambdas = {}, gammas = {};
  bool oracle = false;
  /// One lambda and one gamma for all early exits, rather than for each (then (lambdas x gammas)
  /// to the power of the number of early exits).
  bool shared = false;
};

/// A setting with what it does to a data set.
struct EvaluatedSetting {
  ThresholdSetting setting;
  double accuracy = 0, device_ms = 0, sent_share = 0;
};

/// A setting for one bandwidth.
struct LatencyChoice {
  EvaluatedSetting evaluated;
  double latency_ms = 0;  ///< mean
  bool feasible = true;   ///< whether `latency_ms` keeps the limit
};

/// Evaluated on one data set, the selection data, with one latency model.
class SettingGrid {
 public:
  /// Told the share done, 0..1; may throw to stop.
  using Watch = std::function<void(double)>;

  /// Throws ConfigError for empty axes or more than kMostSettings.
  SettingGrid(ConfidenceTable table, const GridAxes& axes, LatencyModel model,
              const Watch& watch = {});

  [[nodiscard]] const std::vector<EvaluatedSetting>& settings() const { return settings_; }
  [[nodiscard]] const LatencyModel& model() const { return model_; }
  /// Any setting, also off the grid, on the selection data.
  [[nodiscard]] EvaluatedSetting evaluate(const ThresholdSetting& setting) const;
  [[nodiscard]] double mean_ms(const EvaluatedSetting& setting, double bits_per_second) const;
  [[nodiscard]] LatencyChoice at(const EvaluatedSetting& setting, double bits_per_second,
                                 double limit_ms) const;

  /// The most accurate setting whose mean latency is at most the limit; equals by latency, then in
  /// the grid's order. Where none is: the fastest, equals by accuracy, marked infeasible.
  [[nodiscard]] LatencyChoice best(double bits_per_second, double limit_ms) const;
  /// `setting` itself when it keeps the limit; else the setting of the grid that keeps it and is
  /// nearest in (lambda, gamma) by Euclidean distance, equals as in `best`. Where none is: `best`.
  [[nodiscard]] LatencyChoice project(const ThresholdSetting& setting, double bits_per_second,
                                      double limit_ms) const;

 private:
  ConfidenceTable table_;
  LatencyModel model_;
  std::vector<EvaluatedSetting> settings_;
};

inline constexpr std::int64_t kMostSettings = 1'000'000;

/// Distance in (lambda, gamma); both of the same number of thresholds.
[[nodiscard]] double distance(const ThresholdSetting& a, const ThresholdSetting& b);

}  // namespace branchy
