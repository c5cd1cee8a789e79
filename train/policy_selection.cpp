#include "train/policy_selection.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

constexpr std::string_view kBudget = "budget=";

/// Index of the most accurate report that costs at most `limit`; -1 when none does.
std::int64_t most_accurate(std::span<const PolicyReport> reports, OperationsOn cost, double limit) {
  std::int64_t best = -1;
  for (std::int64_t i = 0; i < std::ssize(reports); ++i) {
    const PolicyReport& report = reports[static_cast<std::size_t>(i)];
    if (report.operations(cost) > limit) continue;
    if (best < 0) {
      best = i;
      continue;
    }
    const PolicyReport& leader = reports[static_cast<std::size_t>(best)];
    if (report.correct > leader.correct ||
        (report.correct == leader.correct && report.operations(cost) < leader.operations(cost)))
      best = i;
  }
  return best;
}

Selection within_budget(std::span<const PolicyReport> reports, const SelectionRule& rule) {
  const std::int64_t index = most_accurate(reports, rule.cost, rule.budget);
  if (index >= 0) return {.index = index};
  const auto cheapest =
      std::min_element(reports.begin(), reports.end(), [&](const auto& a, const auto& b) {
        return a.operations(rule.cost) < b.operations(rule.cost);
      });
  throw ConfigError(fmt::format(
      "[policy selection] none of {} policies keeps {:.0f} mean operations {}; the cheapest, {}, "
      "takes {:.0f}",
      reports.size(), rule.budget, name_of(rule.cost), cheapest->policy,
      cheapest->operations(rule.cost)));
}

Selection with_risk(std::span<const PolicyReport> reports, std::span<const std::int64_t> lengths,
                    const SelectionRule& rule) {
  std::vector<RiskCandidate> candidates;
  candidates.reserve(reports.size());
  for (const PolicyReport& report : reports)
    candidates.push_back(
        {.excess_errors = report.excess_errors, .cost = report.operations(rule.cost)});
  const std::int64_t samples = reports.front().samples;
  const auto choice = control_risk(candidates, lengths, samples, rule.risk);
  if (choice) return {.index = choice->index, .risk = choice};
  const std::int64_t needed = samples_needed(rule.risk, std::ssize(lengths));
  throw ConfigError(fmt::format(
      "[policy selection] no policy can be promised to lose at most {} with probability {}: {} "
      "samples, {} are needed without any error; the first policy, {}, errs {} times. List from "
      "the "
      "safest to the least safe, e.g. 0.99..0.5/0.01",
      rule.risk.epsilon, 1.0 - rule.risk.delta, samples, needed, reports.front().policy,
      reports.front().excess_errors));
}

}  // namespace

SelectionRule parse_selection_rule(std::string_view text) {
  if (text == "best-accuracy") return {.kind = SelectionRule::Kind::kBestAccuracy};
  if (text == "risk") return {.kind = SelectionRule::Kind::kRisk};
  SelectionRule rule{.kind = SelectionRule::Kind::kBudget};
  const std::string_view number = text.substr(std::min(kBudget.size(), text.size()));
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), rule.budget);
  if (!text.starts_with(kBudget) || error != std::errc() || end != number.data() + number.size() ||
      !(rule.budget > 0.0) || !std::isfinite(rule.budget))
    throw ConfigError(
        fmt::format("[policy selection] '{}', expected best-accuracy, budget=OPERATIONS (such as "
                    "budget=30e6) or risk",
                    printable(text)));
  return rule;
}

std::string_view name_of(SelectionRule::Kind kind) {
  switch (kind) {
    case SelectionRule::Kind::kBestAccuracy:
      return "best-accuracy";
    case SelectionRule::Kind::kBudget:
      return "budget";
    case SelectionRule::Kind::kRisk:
      return "risk";
  }
  return "";
}

Selection select_policy(std::span<const PolicyReport> reports,
                        std::span<const std::int64_t> lengths, const SelectionRule& rule) {
  if (reports.empty()) throw ConfigError("[policy selection] no policy to choose from");
  switch (rule.kind) {
    case SelectionRule::Kind::kBestAccuracy:
      return {.index = most_accurate(reports, rule.cost, INFINITY)};
    case SelectionRule::Kind::kBudget:
      return within_budget(reports, rule);
    case SelectionRule::Kind::kRisk:
      break;
  }
  return with_risk(reports, lengths, rule);
}

}  // namespace branchy
