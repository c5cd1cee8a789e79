#include "infer/policies/predictor.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "core/error.h"
#include "infer/policies/policy_reader.h"

namespace branchy {

PredictorPolicy::PredictorPolicy(ExitThresholds thresholds, ExitThresholds gamma)
    : thresholds_(std::move(thresholds)), gamma_(std::move(gamma)) {}

PolicyPtr PredictorPolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  const auto gamma = reader.option_numbers("gamma");
  if (gamma.empty()) reader.refuse("no gamma; give one, as in predictor:0.9,gamma=0.5");
  return std::make_shared<PredictorPolicy>(ExitThresholds(reader.numbers(), num_exits - 1),
                                           ExitThresholds(gamma, num_exits - 1, "gamma"));
}

std::string PredictorPolicy::text() const {
  return fmt::format("{}:{},gamma={}", kName, thresholds_.text(), gamma_.text());
}

bool PredictorPolicy::computes(std::int64_t exit, const SampleContext& sample) const {
  if (std::ssize(sample.scores) != sample.num_exits - 1)
    throw Error(fmt::format("[policy predictor] {} scores for {} early exits; attach a predictor",
                            sample.scores.size(), sample.num_exits - 1));
  const float gamma = gamma_.at(exit);
  return gamma == 0.0F || sample.scores[static_cast<std::size_t>(exit - 1)] >= gamma;
}

Decision PredictorPolicy::decide(std::span<const ExitView> seen,
                                 const SampleContext& sample) const {
  const Prediction& current = seen.back().prediction;
  if (current.exit == sample.num_exits ||
      should_exit(current.confidence, thresholds_.at(current.exit)))
    return {Verdict::kExit, current};
  return {};
}

}  // namespace branchy
