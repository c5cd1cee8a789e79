#include "infer/policies/p_tar.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "infer/policies/exit_thresholds.h"
#include "infer/policies/policy_reader.h"

namespace branchy {

PTarPolicy::PTarPolicy(float p_tar, ActiveExits active)
    : p_tar_(p_tar), active_(std::move(active)) {}

PolicyPtr PTarPolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<PTarPolicy>(reader.only_share(), ActiveExits(reader, num_exits - 1));
}

std::string PTarPolicy::text() const {
  return fmt::format("{}:{}{}", kName, p_tar_, active_.text());
}

bool PTarPolicy::computes(std::int64_t exit, const SampleContext& /*sample*/) const {
  return active_.contains(exit);
}

Decision PTarPolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const Prediction& current = seen.back().prediction;
  if (should_exit(current.confidence, p_tar_)) return {Verdict::kExit, current};
  if (current.exit < sample.num_exits) return {};
  std::vector<Prediction> computed;
  computed.reserve(seen.size());
  for (const ExitView& view : seen) computed.push_back(view.prediction);
  return {Verdict::kExit, most_confident(computed)};
}

}  // namespace branchy
