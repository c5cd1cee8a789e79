#include "infer/policy_follower.h"

#include "core/error.h"
#include "infer/policies/policy_text.h"

namespace branchy {

namespace {

AdaptTable table_of(const ModelInfo& info) {
  std::optional<AdaptTable> table = AdaptTable::from(info);
  if (!table)
    throw ConfigError(
        "[adapt] the model has no table of policies by bandwidth; make one with `branchy adapt` "
        "and export again");
  return *std::move(table);
}

}  // namespace

PolicyFollower::PolicyFollower(const ModelInfo& info, std::optional<double> bits_per_second)
    : table_(table_of(info)), fixed_(bits_per_second) {
  if (bits_per_second) (void)table_.at(*bits_per_second);
  for (const AdaptRow& row : table_.rows())
    policies_.push_back(parse_policy(row.policy, info.config.early_exits + 1, info.records));
}

const PolicyPtr& PolicyFollower::policy(std::optional<double> bits_per_second) const {
  const AdaptRow& row = bits_per_second ? table_.at(*bits_per_second) : table_.rows().front();
  return policies_[static_cast<std::size_t>(&row - table_.rows().data())];
}

}  // namespace branchy
