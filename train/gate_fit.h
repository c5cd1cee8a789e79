// Fitting of the learned gate: when an exit should let a sample leave, from four of its scores.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "infer/policies/policy_reader.h"
#include "train/policy_inputs.h"

namespace branchy {

struct GateFitOptions {
  std::string target = "right";  ///< or "cost"
  double cost_weight = 0.5;      ///< of target "cost"
  double ridge = 1e-4;           ///< see fit_logistic
  /// Throws ConfigError naming the flag that is wrong.
  void validate() const;
};

/// What was fitted, by early exit.
struct GateFit {
  GateFitOptions options = {};
  std::vector<std::string> weights = {};  ///< as recorded
  std::vector<double> loss = {};          ///< mean negative log likelihood
  std::vector<std::int64_t> yes = {};     ///< samples whose target is yes
};

/// Fits, for each early exit, P(leave) = sigmoid(w . features + b) to all samples of the cache, on
/// the four features of JEI-DNN (Regol, Chataoui and Coates, "Jointly-Learned Exit and Inference
/// for a Dynamic Neural Network", ICLR 2024, section 4): largest probability, entropy, margin,
/// and entropy of the squared probabilities. Their gates are trained together with the exits; here
/// the network is frozen and each is a logistic regression on a target:
///
/// 1. "right": the class of the exit is the label.
/// 2. "cost": CE_n + w c_n <= CE_m + w c_m for all deeper exits m, with the cross-entropy CE of the
///    sample at an exit and the share c of a full run's operations paid when leaving there: their
///    criterion with the expected loss of going on replaced by the best that can follow.
///
/// The weights are put among `records`, where the gate policy reads them, with what they were
/// fitted to. Throws DataError when an exit's targets are all alike, ConfigError without early
/// exits.
[[nodiscard]] GateFit fit_gate(const PolicySamples& samples, std::span<const float> temperatures,
                               const GateFitOptions& options, PolicyRecords& records);

/// Throws ConfigError when the gate among `records` was, or may have been, fitted to some of the
/// samples: nothing can then be proved of it on them.
void require_unseen_by_gate(const PolicySamples& samples, const PolicyRecords& records);

}  // namespace branchy
