#include "infer/policies/fixed.h"

#include <fmt/format.h>

#include <memory>

#include "infer/policies/policy_reader.h"

namespace branchy {

FixedPolicy::FixedPolicy(std::int64_t exit) : exit_(exit) {}

PolicyPtr FixedPolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<FixedPolicy>(reader.only_whole_number(1, num_exits));
}

std::string FixedPolicy::text() const { return fmt::format("{}:{}", kName, exit_); }

bool FixedPolicy::computes(std::int64_t exit, const SampleContext& /*sample*/) const {
  return exit == exit_;
}

Decision FixedPolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const Prediction& current = seen.back().prediction;
  if (current.exit == exit_ || current.exit == sample.num_exits) return {Verdict::kExit, current};
  return {};
}

}  // namespace branchy
