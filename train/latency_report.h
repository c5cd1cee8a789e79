// LatencyReport: accuracy and mean latency of methods over bandwidths, as text, CSV and JSON.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "infer/latency_model.h"
#include "train/threshold_setting.h"

namespace branchy {

/// A policy on one data set with one bandwidth.
struct LatencyPoint {
  double accuracy = 0, latency_ms = 0;
  double latency_without_encoder_ms = 0;  ///< the paper leaves open whether it counts
  double device_operations = 0;           ///< mean, ptflops, without the encoder
  double sent_share = 0;
};
[[nodiscard]] LatencyPoint latency_point(const RouteCounts& counts, const LatencyModel& model,
                                         const ExitCosts& costs, double bits_per_second);

struct LatencyRow {
  std::string method;
  double bits_per_second = 0;
  std::string policy;
  LatencyPoint selection;
  std::optional<LatencyPoint> test;
};

struct LatencyReport {
  double limit_ms = 0;
  std::vector<std::pair<std::string, std::string>> facts;  ///< printed first, in order
  std::vector<LatencyRow> rows;                            ///< by method, then bandwidth

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string csv() const;
  /// Begins with the provenance.
  [[nodiscard]] std::string json() const;
};

}  // namespace branchy
