// Adaptation: thresholds for every bandwidth, three ways.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/adapt_table.h"
#include "train/setting_grid.h"
#include "train/threshold_regression.h"

namespace branchy {

/// How a setting follows from a bandwidth. Each is projected to what keeps the limit on the
/// selection data (SettingGrid::project).
enum class AdaptMethod {
  kSearch,       ///< the grid's best at this very bandwidth
  kInterpolate,  ///< between the best of the two given bandwidths around it, in log bandwidth
  kRegression,   ///< three regression networks (Dong et al.), see ThresholdRegression
};
inline constexpr AdaptMethod kAdaptMethods[] = {AdaptMethod::kSearch, AdaptMethod::kInterpolate,
                                                AdaptMethod::kRegression};
[[nodiscard]] std::string_view method_name(AdaptMethod method);
/// Throws ConfigError listing the names.
[[nodiscard]] AdaptMethod parse_adapt_method(std::string_view name);

inline constexpr std::string_view kRegressionNeeds =
    "[adapt] regression needs two bandwidths or more in each decade, such as 0.1,0.3,1,3,10 Mbit/s";

struct AdaptOptions {
  double limit_ms = 30;            ///< on the mean latency
  std::vector<double> bandwidths;  ///< bit/s: where the best is searched, labels of the networks
  RegressionParams regression = {};
};

/// The best settings at the given bandwidths, and what follows from them elsewhere.
class Adaptation {
 public:
  /// `grid` outlives this. Throws ConfigError for a limit or bandwidth that is not positive and
  /// finite, and for no or repeated bandwidths.
  Adaptation(const SettingGrid& grid, AdaptOptions options);

  /// In rising order of bandwidth.
  [[nodiscard]] const std::vector<double>& bandwidths() const { return options_.bandwidths; }
  [[nodiscard]] const std::vector<LatencyChoice>& labels() const { return labels_; }
  [[nodiscard]] double limit_ms() const { return options_.limit_ms; }
  /// Nothing when a decade has fewer than two of the bandwidths (is_trainable).
  [[nodiscard]] const std::optional<ThresholdRegression>& regression() const { return regression_; }

  /// Before projection: what the method says.
  [[nodiscard]] ThresholdSetting raw(AdaptMethod method, double bits_per_second) const;
  /// After it.
  [[nodiscard]] LatencyChoice choose(AdaptMethod method, double bits_per_second) const;
  /// `choose` at the given bandwidths and at `per_decade` places in each factor of 10 between the
  /// first and the last; neighbours with the same policy are one row.
  [[nodiscard]] AdaptTable table(AdaptMethod method, int per_decade = 20) const;

 private:
  const SettingGrid& grid_;
  AdaptOptions options_;
  std::vector<LatencyChoice> labels_;
  std::optional<ThresholdRegression> regression_;
};

}  // namespace branchy
