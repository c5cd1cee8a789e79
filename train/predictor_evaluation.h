// PredictorEvaluation: what an exit predictor changes on a set of samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/gamma_rule.h"
#include "train/logits_cache.h"
#include "train/policy_simulation.h"
#include "train/predictor_quality.h"

namespace branchy {

/// A policy on all samples of a set, by simulate_policy().
struct PolicyOutcome {
  std::string policy;       ///< its text
  double accuracy = 0.0;    ///< 0..1
  double last_share = 0.0;  ///< of samples that stop at the final exit
  double device_operations =
      0.0;  ///< mean by sample, convention ptflops (eq. 3 and 4 of Dong et al.)
};
[[nodiscard]] PolicyOutcome outcome_of(const StoredExits& exits, const std::string& policy);

/// "max-probability:0.9+0.85", the same with a predictor, and the oracle that computes only the
/// exit that will accept.
[[nodiscard]] std::string plain_policy(std::span<const float> thresholds);
[[nodiscard]] std::string predictor_policy(std::span<const float> thresholds,
                                           std::span<const float> gamma);
[[nodiscard]] std::string oracle_policy(std::span<const float> thresholds);

/// Scores, confidences and costs for choose_gamma(). Throws DataError when `exits` has no scores.
[[nodiscard]] PredictedExits predicted_exits(const StoredExits& exits,
                                             std::span<const float> thresholds);

struct PredictorEvaluation {
  std::int64_t samples = 0;
  std::vector<PredictorQuality> quality;  ///< by early exit
  PolicyOutcome without, with, oracle;

  /// Of the device operations without the predictor, 0..1; below 0 when it costs more than it
  /// saves.
  [[nodiscard]] double saved() const {
    return 1.0 - with.device_operations / without.device_operations;
  }
  [[nodiscard]] double growth() const { return with.last_share - without.last_share; }
  [[nodiscard]] double accuracy_gain() const { return with.accuracy - without.accuracy; }
  /// Whether the predictor saves operations, loses at most 0.1 points of accuracy and sends less
  /// than 2 points more samples to the last exit.
  [[nodiscard]] bool keeps_promise() const;
};
/// `exits` has scores.
[[nodiscard]] PredictorEvaluation evaluate_predictor(const StoredExits& exits,
                                                     const std::vector<float>& thresholds,
                                                     const std::vector<float>& gamma);

/// JSON objects, for results.
[[nodiscard]] std::string to_json(const PolicyOutcome& outcome);
[[nodiscard]] std::string to_json(const PredictorEvaluation& evaluation);

/// The rows of `cache` whose sample index is among `positions`, in their order. Throws DataError
/// when the cache lacks one of them.
[[nodiscard]] LogitsCache take_samples(const LogitsCache& cache,
                                       std::span<const std::int64_t> positions);

}  // namespace branchy
