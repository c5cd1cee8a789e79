// Exit policy aided by the Exit Predictor, which says what exits are worth computing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"

namespace branchy {

class PolicyReader;

/// `predictor:0.9,gamma=0.5`, or for each early exit `predictor:0.9+0.85,gamma=0.5+0.4`. Early exit
/// n is computed only when score s_n >= gamma_n (equality computes); gamma 0 always computes. A
/// computed exit lets the sample leave when confidence >= threshold n (equality leaves). Skipping
/// never stops a sample; the final exit takes the rest. Dong et al. 2022, Algorithm 1.
class PredictorPolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "predictor";
  PredictorPolicy(ExitThresholds thresholds, ExitThresholds gamma);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kNone; }
  [[nodiscard]] float threshold(std::int64_t exit) const { return thresholds_.at(exit); }
  [[nodiscard]] bool needs_scores() const override { return true; }
  [[nodiscard]] bool computes(std::int64_t exit, const SampleContext& sample) const override;
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  ExitThresholds thresholds_, gamma_;
};

}  // namespace branchy
