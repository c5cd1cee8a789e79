// Exit policy by one target probability for all exits, with a fallback.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/active_exits.h"
#include "infer/policies/exit_policy.h"

namespace branchy {

/// `p-tar:0.8`, or `p-tar:0.8,active=2+3`. A sample leaves an active early exit, and is accepted by
/// the final one, when confidence >= p_tar (equality leaves). When the final exit is not sure
/// enough either, the sample stops there all the same with the class of the most confident of the
/// exits computed for it, active branches and output; ties go to the shallowest. Exits that are not
/// active are not computed. Pacheco et al. 2021, sections 3 and 4.
class PTarPolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "p-tar";
  PTarPolicy(float p_tar, ActiveExits active);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kPredictions; }
  [[nodiscard]] bool computes(std::int64_t exit, const SampleContext& sample) const override;
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  float p_tar_;
  ActiveExits active_;
};

}  // namespace branchy
