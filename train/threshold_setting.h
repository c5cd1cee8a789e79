// ThresholdSetting: thresholds of one early-exit policy, and how a data set routes under them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infer/latency_model.h"
#include "train/confidence_table.h"

namespace branchy {

/// lambda and gamma of Dong, Mao, Zhang 2022. Equality computes (gamma) and exits (lambda).
struct ThresholdSetting {
  std::vector<float> lambda = {};  ///< confidence to leave, one an early exit
  std::vector<float> gamma =
      {};               ///< predictor score to compute it, one an early exit; empty: without
  bool oracle = false;  ///< computes the exit that will accept, no other (no gamma then)

  friend bool operator==(const ThresholdSetting&, const ThresholdSetting&) = default;
};

/// "max-probability:0.9+0.85", "predictor:0.9+0.85,gamma=0.5+0.4" or "oracle:0.9+0.85": what
/// `parse_policy` takes, the same floats when read back.
[[nodiscard]] std::string policy_text(const ThresholdSetting& setting);

/// How many samples do what; eq. (3) and (4) of the paper are sums over these. Index 0 is exit 1.
struct RouteCounts {
  std::int64_t samples = 0, correct = 0;
  std::int64_t sent = 0;               ///< left at no early exit
  std::vector<std::int64_t> reached;   ///< ran the trunk before early exit n
  std::vector<std::int64_t> computed;  ///< ran early exit n
  bool scored = false;                 ///< every sample ran the predictor

  [[nodiscard]] double accuracy() const;
  [[nodiscard]] double sent_share() const;
  /// Means over the samples: milliseconds and operations (ptflops) on the device, encoder apart.
  [[nodiscard]] double device_ms(const PartTimes& parts) const;
  [[nodiscard]] double device_operations(const ExitCosts& costs) const;
};

/// Algorithm 1 of the paper on stored confidences. Throws ConfigError when the setting does not
/// fit the table (number of exits, no scores).
[[nodiscard]] RouteCounts count_routes(const ConfidenceTable& table,
                                       const ThresholdSetting& setting);
/// The backbone without exits, cut where the early exits end: everything is sent.
[[nodiscard]] RouteCounts count_backbone(const ConfidenceTable& table);

}  // namespace branchy
