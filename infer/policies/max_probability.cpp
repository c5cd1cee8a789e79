#include "infer/policies/max_probability.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "infer/policies/policy_reader.h"

namespace branchy {

MaxProbabilityPolicy::MaxProbabilityPolicy(ExitThresholds thresholds)
    : thresholds_(std::move(thresholds)) {}

PolicyPtr MaxProbabilityPolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<MaxProbabilityPolicy>(ExitThresholds(reader.numbers(), num_exits - 1));
}

std::string MaxProbabilityPolicy::text() const {
  return fmt::format("{}:{}", kName, thresholds_.text());
}

Decision MaxProbabilityPolicy::decide(std::span<const ExitView> seen,
                                      const SampleContext& sample) const {
  const Prediction& current = seen.back().prediction;
  if (current.exit == sample.num_exits ||
      should_exit(current.confidence, thresholds_.at(current.exit)))
    return {Verdict::kExit, current};
  return {};
}

}  // namespace branchy
