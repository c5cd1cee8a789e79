// Exit policy that knows beforehand which exit will be sure enough.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"

namespace branchy {

class PolicyReader;

/// `oracle:0.9` or `oracle:0.9+0.85`: every sample leaves where `max-probability` of the same
/// thresholds lets it leave, but of the early exits only that one is computed; none for a sample
/// that goes to the final exit. The lower bound of what a predictor can save: Dong et al. 2022,
/// section V. Looks at `SampleContext::all`, so it can be evaluated but not executed.
class OraclePolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "oracle";
  explicit OraclePolicy(ExitThresholds thresholds);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] bool looks_ahead() const override { return true; }
  [[nodiscard]] bool computes(std::int64_t exit, const SampleContext& sample) const override;
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  ExitThresholds thresholds_;
};

}  // namespace branchy
