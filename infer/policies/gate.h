// Exit policy by a learned gate: logistic regression on four scores of an exit.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"
#include "infer/policies/policy_reader.h"

namespace branchy {

inline constexpr std::size_t kGateFeatures = 4;
/// Largest probability, normalised entropy, margin, normalised entropy of the squared
/// probabilities: the features of JEI-DNN (Regol, Chataoui and Coates, "Jointly-Learned Exit and
/// Inference for a Dynamic Neural Network", ICLR 2024, section 4).
[[nodiscard]] std::array<float, kGateFeatures> gate_features(const ExitView& view);

/// The weights of one early exit: kGateFeatures of them, then the bias.
using GateWeights = std::array<float, kGateFeatures + 1>;

/// Puts the gate of an early exit among the records of a model, as `policy.gate.N` = `w+w+w+w+b`,
/// and gives what was written. `weights` has kGateFeatures values.
std::string write_gate(PolicyRecords& records, std::int64_t exit, std::span<const double> weights,
                       double bias);

/// `gate`, `gate:0.5`, `gate:0.5+0.7`, or with weights in the text `gate:0.5,w1=w+w+w+w+b,w2=...`.
/// A sample leaves early exit n when sigmoid(w . features + b) >= threshold n, by default 0.5
/// (equality leaves); the final exit takes the rest. Weights are those of the text or, without any
/// there, the model's records.
class GatePolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "gate";
  /// `weights`: by early exit. `from_records`: `text()` then leaves them out.
  GatePolicy(std::vector<GateWeights> weights, ExitThresholds thresholds, bool from_records);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kNone; }
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  std::vector<GateWeights> weights_;
  ExitThresholds thresholds_;
  bool from_records_;
};

}  // namespace branchy
