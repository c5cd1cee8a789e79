// Exit policy that always answers at the same exit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_policy.h"

namespace branchy {

class PolicyReader;

/// `fixed:2`: only exit 2 is computed and every sample leaves there, however sure; `fixed:N` with
/// the number of the final exit is the plain network.
class FixedPolicy final : public ExitPolicy {
 public:
  static constexpr std::string_view kName = "fixed";
  explicit FixedPolicy(std::int64_t exit);
  [[nodiscard]] static PolicyPtr parse(PolicyReader& reader, std::int64_t num_exits);

  [[nodiscard]] std::string text() const override;
  [[nodiscard]] PolicyMemory memory() const override { return PolicyMemory::kNone; }
  [[nodiscard]] bool computes(std::int64_t exit, const SampleContext& sample) const override;
  [[nodiscard]] Decision decide(std::span<const ExitView> seen,
                                const SampleContext& sample) const override;

 private:
  std::int64_t exit_;
};

}  // namespace branchy
