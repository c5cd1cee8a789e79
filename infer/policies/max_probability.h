// Exit policy by maximum probability: leave when softmax is sure enough.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"
#include "infer/policies/prediction.h"

namespace branchy {

class PolicyReader;

/// `max-probability:0.9` or, one for each early exit, `max-probability:0.9+0.85`. A sample leaves
/// early exit n when confidence >= threshold n (equality leaves); the final exit takes the rest,
/// however sure. Dong et al. 2022, section III, without the predictor of Algorithm 1.
class MaxProbabilityPolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "max-probability";
  explicit MaxProbabilityPolicy(ExitThresholds thresholds);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kNone; }
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  ExitThresholds thresholds_;
};

}  // namespace branchy
