// Exit policy by normalised entropy, with an optional limit above which a sample is given up.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/active_exits.h"
#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"

namespace branchy {

/// `entropy:0.3`, `entropy:0.3+0.4`, `entropy:0.3,drop=0.95`, `entropy:0.3,active=2`. A sample
/// leaves an active early exit when its normalised entropy < threshold, strictly (equality goes
/// on); it is dropped there, unanswered, when its entropy > `drop`, strictly. The final exit takes
/// the rest. Exits that are not active are not computed (the multi-exit model MEM uses one).
/// Lee et al. 2020, sections 3 and 4; the drop limit is their closing remark.
class EntropyPolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "entropy";
  EntropyPolicy(ExitThresholds thresholds, std::optional<float> drop, ActiveExits active);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kNone; }
  [[nodiscard]] bool computes(std::int64_t exit, const SampleContext& sample) const override;
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  ExitThresholds thresholds_;
  std::optional<float> drop_;
  ActiveExits active_;
};

}  // namespace branchy
