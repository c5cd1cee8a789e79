// PolicyFollower: keeps an edge's policy in step with the bandwidth to its cloud.
#pragma once

#include <optional>
#include <vector>

#include "infer/adapt_table.h"
#include "infer/policies/exit_policy.h"

namespace branchy {

/// The policy of the table's row for a bandwidth. Without one (no transfer yet, or a cloud that is
/// away) that is the first row, for the slowest link.
class PolicyFollower {
 public:
  /// Parses all policies of the model's table; `bits_per_second` stands for every estimate when it
  /// is given. Throws ConfigError when the model has no table, and for a bandwidth that is not
  /// positive.
  PolicyFollower(const ModelInfo& info, std::optional<double> bits_per_second);

  /// Of the table's rows.
  [[nodiscard]] const std::vector<PolicyPtr>& policies() const { return policies_; }
  /// Whether it wants to be told estimates, so that measuring the link is worth it.
  [[nodiscard]] bool follows_estimates() const { return !fixed_; }
  /// What the next choice rests on, given the link's estimate.
  [[nodiscard]] std::optional<double> bits_per_second(std::optional<double> estimate) const {
    return fixed_ ? fixed_ : estimate;
  }
  /// For a bandwidth as `bits_per_second` gave it.
  [[nodiscard]] const PolicyPtr& policy(std::optional<double> bits_per_second) const;

 private:
  AdaptTable table_;
  std::vector<PolicyPtr> policies_;  // of the table's rows
  std::optional<double> fixed_;
};

}  // namespace branchy
