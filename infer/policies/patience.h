// Exit policy by patience: leave when enough exits in a row agree.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"

namespace branchy {

class PolicyReader;

/// `patience:2`: a sample leaves at the first exit that is the last of m in a row with the same
/// class; the final exit takes the rest. m = 1 leaves at once. Zhou et al., "BERT Loses Patience:
/// Fast and Robust Inference with Early Exit", NeurIPS 2020, whose patience t counts agreements
/// with the exit before: t = m - 1. An exit whose scores are not finite agrees with none.
class PatiencePolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "patience";
  explicit PatiencePolicy(std::int64_t agreeing);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kPredictions; }
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  std::int64_t agreeing_;
};

}  // namespace branchy
