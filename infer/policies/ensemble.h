// Exit policy by an ensemble of all exits computed so far.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"
#include "infer/policies/exit_thresholds.h"

namespace branchy {

class PolicyReader;

/// `ensemble:0.9` or `ensemble:0.9+0.85`: the answer at exit n is that of the product of the
/// probabilities of exits 1..n, renormalised; a sample leaves when its largest value >= threshold n
/// (equality leaves), and the final exit takes the rest with the product of all exits. Ties take
/// the lowest class. The geometric ensemble of Wolczyk et al., "Zero Time Waste", NeurIPS 2021,
/// eq. 5, without its learned weights.
class EnsemblePolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "ensemble";
  explicit EnsemblePolicy(ExitThresholds thresholds);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kLogits; }
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  ExitThresholds thresholds_;
};

}  // namespace branchy
