#include "infer/policies/ensemble.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "infer/policies/policy_reader.h"

namespace branchy {

namespace {

// ln of a product of softmaxes is the sum of the logits up to a constant, which softmax removes.
Prediction product_of(std::span<const ExitView> seen) {
  std::vector<float> sum(seen.front().logits.begin(), seen.front().logits.end());
  for (const ExitView& view : seen.subspan(1))
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += view.logits[i];
  return predict(seen.back().prediction.exit, sum);
}

}  // namespace

EnsemblePolicy::EnsemblePolicy(ExitThresholds thresholds) : thresholds_(std::move(thresholds)) {}

PolicyPtr EnsemblePolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<EnsemblePolicy>(ExitThresholds(reader.numbers(), num_exits - 1));
}

std::string EnsemblePolicy::text() const { return fmt::format("{}:{}", kName, thresholds_.text()); }

Decision EnsemblePolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  // A single exit is its own product; so is its class, which the temperature must not change.
  const Prediction answer = seen.size() == 1 ? seen.front().prediction : product_of(seen);
  if (answer.exit == sample.num_exits ||
      should_exit(answer.confidence, thresholds_.at(answer.exit)))
    return {Verdict::kExit, answer};
  return {};
}

}  // namespace branchy
