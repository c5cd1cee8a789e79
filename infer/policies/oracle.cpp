#include "infer/policies/oracle.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "core/error.h"
#include "infer/policies/policy_reader.h"

namespace branchy {

OraclePolicy::OraclePolicy(ExitThresholds thresholds) : thresholds_(std::move(thresholds)) {}

PolicyPtr OraclePolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<OraclePolicy>(ExitThresholds(reader.numbers(), num_exits - 1));
}

std::string OraclePolicy::text() const { return fmt::format("{}:{}", kName, thresholds_.text()); }

bool OraclePolicy::computes(std::int64_t exit, const SampleContext& sample) const {
  if (std::ssize(sample.all) != sample.num_exits)
    throw Error("[policy oracle] looks at all exits of a sample; evaluate it on stored logits");
  for (std::int64_t n = 1; n < sample.num_exits; ++n)
    if (should_exit(sample.all[static_cast<std::size_t>(n - 1)].prediction.confidence,
                    thresholds_.at(n)))
      return exit == n;
  return false;
}

Decision OraclePolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const Prediction& current = seen.back().prediction;
  if (current.exit == sample.num_exits ||
      should_exit(current.confidence, thresholds_.at(current.exit)))
    return {Verdict::kExit, current};
  return {};
}

}  // namespace branchy
