// Selection of an exit policy among reports of many on the same samples.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/policy_report.h"
#include "train/risk_control.h"

namespace branchy {

/// What a policy is to be chosen by.
struct SelectionRule {
  enum class Kind { kBestAccuracy, kBudget, kRisk };
  Kind kind = Kind::kBestAccuracy;
  double budget = 0.0;                        ///< kBudget: mean operations of a sample
  OperationsOn cost = OperationsOn::kDevice;  ///< what counts as cost
  RiskTarget risk = {};                       ///< kRisk
};

/// `best-accuracy`, `budget=OPERATIONS` or `risk`. Throws ConfigError for another text or a budget
/// that is not positive and finite.
[[nodiscard]] SelectionRule parse_selection_rule(std::string_view text);
/// `best-accuracy`, `budget` or `risk`.
[[nodiscard]] std::string_view name_of(SelectionRule::Kind kind);

struct Selection {
  std::int64_t index = 0;               ///< of the report
  std::optional<RiskChoice> risk = {};  ///< of kRisk
};

/// Best accuracy: the highest accuracy, then the lowest cost, then the first. Budget: the same
/// among those whose cost is at most the budget. Risk: the lowest cost among those of which
/// `control_risk` promises that they lose at most epsilon, `reports` being sequences of `lengths`.
/// Dropped samples count as wrong in all. Throws ConfigError, saying what comes nearest, when none
/// qualifies.
[[nodiscard]] Selection select_policy(std::span<const PolicyReport> reports,
                                      std::span<const std::int64_t> lengths,
                                      const SelectionRule& rule);

}  // namespace branchy
