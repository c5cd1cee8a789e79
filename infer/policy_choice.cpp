#include "infer/policy_choice.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <vector>

#include "core/error.h"
#include "infer/policies/max_probability.h"
#include "infer/policies/policy_record.h"
#include "infer/policies/policy_text.h"
#include "infer/policies/predictor.h"
#include "infer/threshold_list.h"

namespace branchy {

namespace {

void require_trained_thresholds(const ExitPolicy& policy, const ModelInfo& info) {
  const auto* aided = dynamic_cast<const PredictorPolicy*>(&policy);
  const auto record = info.records.find("predictor.thresholds");
  if (aided == nullptr || record == info.records.end()) return;
  const std::vector<float> trained =
      resolve_thresholds(parse_thresholds(record->second), info.config.early_exits);
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const auto exit = static_cast<std::int64_t>(i) + 1;
    if (aided->threshold(exit) == trained[i]) continue;
    throw ConfigError(
        fmt::format("[policy {}] the model's predictor was trained for threshold {} at exit {}; "
                    "use that or train another with `branchy predictor train`",
                    policy.text(), trained[i], exit));
  }
}

}  // namespace

PolicyPtr choose_policy(const PolicyWish& wish, const ModelInfo& info,
                        const std::function<void(const std::string&)>& warn) {
  const std::int64_t early = info.config.early_exits;
  if (!wish.policy.empty()) {
    PolicyPtr policy = parse_policy(wish.policy, early + 1, info.records);
    require_trained_thresholds(*policy, info);
    return policy;
  }
  if (!wish.thresholds.empty()) {
    return std::make_shared<MaxProbabilityPolicy>(
        ExitThresholds(parse_thresholds(wish.thresholds), early));
  }
  const std::optional<PolicyRecord> record = read_policy_record(info);
  if (!record) {
    throw ConfigError(
        "[edge] no --policy and no --threshold, and the model has none of its own; give one, e.g. "
        "--threshold 0.9");
  }
  if (!same_temperatures(*record, info) && warn) {
    warn(
        "the model was calibrated anew since its policy was chosen; choose it again with `branchy "
        "policy`");
  }
  return parse_policy(record->text, early + 1, info.records);
}

}  // namespace branchy
