#include "experiments/latency_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "infer/percentile.h"
#include "train/mean_estimate.h"

namespace branchy {

LatencySummary summarize(const std::vector<double>& milliseconds) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (milliseconds.empty()) return {0, kNone, kNone, kNone, kNone, kNone, kNone};
  MeanEstimate mean;
  for (const double value : milliseconds) mean.add(value);
  return {.count = mean.count(),
          .mean = mean.mean(),
          .half_width_95 = mean.half_width_95(),
          .p50 = percentile(milliseconds, 0.50),
          .p95 = percentile(milliseconds, 0.95),
          .p99 = percentile(milliseconds, 0.99),
          .most = *std::max_element(milliseconds.begin(), milliseconds.end())};
}

std::string figure_text(double value, int decimals) {
  return std::isnan(value) ? "n/a" : fmt::format("{:.{}f}", value, decimals);
}

}  // namespace branchy
