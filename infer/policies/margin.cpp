#include "infer/policies/margin.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "infer/policies/policy_reader.h"

namespace branchy {

MarginPolicy::MarginPolicy(ExitThresholds thresholds) : thresholds_(std::move(thresholds)) {}

PolicyPtr MarginPolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<MarginPolicy>(ExitThresholds(reader.numbers(), num_exits - 1));
}

std::string MarginPolicy::text() const { return fmt::format("{}:{}", kName, thresholds_.text()); }

Decision MarginPolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const ExitView& current = seen.back();
  const std::int64_t exit = current.prediction.exit;
  if (exit == sample.num_exits || should_exit(current.margin, thresholds_.at(exit)))
    return {Verdict::kExit, current.prediction};
  return {};
}

}  // namespace branchy
