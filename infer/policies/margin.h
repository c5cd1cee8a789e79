// Exit policy by margin: leave when the best class is far enough ahead of the second best.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"

namespace branchy {

class PolicyReader;

/// `margin:0.5` or `margin:0.5+0.4`: a sample leaves early exit n when largest minus second largest
/// probability >= threshold n (equality leaves); the final exit takes the rest. The score margin of
/// Park et al., "Big/Little Deep Neural Network for Ultra Low Power Inference", CODES+ISSS 2015.
class MarginPolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "margin";
  explicit MarginPolicy(ExitThresholds thresholds);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kNone; }
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  ExitThresholds thresholds_;
};

}  // namespace branchy
