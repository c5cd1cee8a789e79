// PolicyFollower: keeps an edge's policy in step with the bandwidth to its cloud.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "infer/adapt_table.h"
#include "infer/edge_engine.h"
#include "infer/policies/exit_policy.h"

namespace branchy {

/// Between images: looks at the engine's estimate of the link and gives it the policy of the
/// table's row. Without an estimate (no transfer yet, or a cloud that is away) that is the first
/// row, for the slowest link.
class PolicyFollower {
 public:
  /// Parses all policies of the model's table; `bits_per_second` stands for the estimate when it is
  /// given, and nothing is measured then. Throws ConfigError when the model has no table, and for a
  /// bandwidth that is not positive.
  PolicyFollower(const ModelInfo& info, std::optional<double> bits_per_second);

  /// The policy to begin with.
  [[nodiscard]] PolicyPtr first() const { return policies_.front(); }
  void before_image(EdgeEngine& engine);
  /// What the last choice rested on.
  [[nodiscard]] std::optional<double> bits_per_second() const { return bits_per_second_; }

 private:
  AdaptTable table_;
  std::vector<PolicyPtr> policies_;  // of the table's rows
  bool is_fixed_;
  std::optional<double> bits_per_second_;
};

}  // namespace branchy
