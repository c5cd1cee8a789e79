// Lee et al., section 4: latency and accuracy of edge, cloud and both, from answers of batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/latency_summary.h"

namespace branchy {

/// One answered sample.
struct LeeSample {
  double ms = 0;  ///< from its batch's request to its answer
  bool right = false, from_cloud = false, degraded = false;
};

/// One model under one threshold. Accuracies are shares; NaN ("n/a") for an empty group.
struct LeeLatencyRow {
  std::string model;
  std::int64_t exit = 0;  ///< the active one, from 1
  double threshold = 0;   ///< of normalised entropy
  std::int64_t edge_samples = 0, cloud_samples = 0, degraded = 0;
  double edge_accuracy = 0, cloud_accuracy = 0, overall_accuracy = 0;
  LatencySummary edge, cloud;  ///< of samples that ended there
  double overall_ms = 0;       ///< (last answer - first request) / samples
};

/// `seconds`: from the first request to the last answer.
[[nodiscard]] LeeLatencyRow lee_latency_row(const std::vector<LeeSample>& samples, double seconds);
/// Lines end with '\n'.
[[nodiscard]] std::string lee_latency_text(const std::vector<LeeLatencyRow>& rows);
[[nodiscard]] std::string lee_latency_csv(const std::vector<LeeLatencyRow>& rows);
/// A JSON array.
[[nodiscard]] std::string lee_latency_json(const std::vector<LeeLatencyRow>& rows);

}  // namespace branchy
