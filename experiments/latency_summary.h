// LatencySummary: what is said of measured times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace branchy {

/// Milliseconds; NaN where there are too few values ("n/a" in text, null in JSON).
struct LatencySummary {
  std::int64_t count = 0;
  double mean = 0, half_width_95 = 0;  ///< the mean's 95 % confidence interval is mean +- this
  double p50 = 0, p95 = 0, p99 = 0, most = 0;
};

/// Percentiles are nearest-rank; the interval is that of MeanEstimate.
[[nodiscard]] LatencySummary summarize(const std::vector<double>& milliseconds);

/// `12.34`, or "n/a" for NaN.
[[nodiscard]] std::string figure_text(double value, int decimals = 2);

}  // namespace branchy
