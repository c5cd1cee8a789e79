#include "infer/policies/patience.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "infer/policies/policy_reader.h"

namespace branchy {

PatiencePolicy::PatiencePolicy(std::int64_t agreeing) : agreeing_(agreeing) {}

PolicyPtr PatiencePolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  return std::make_shared<PatiencePolicy>(reader.only_whole_number(1, num_exits));
}

std::string PatiencePolicy::text() const { return fmt::format("{}:{}", kName, agreeing_); }

Decision PatiencePolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const Prediction& current = seen.back().prediction;
  if (current.exit == sample.num_exits) return {Verdict::kExit, current};
  if (std::ssize(seen) < agreeing_) return {};
  const auto last = seen.last(static_cast<std::size_t>(agreeing_));
  const bool agree = std::all_of(last.begin(), last.end(), [&](const ExitView& view) {
    return view.prediction.label == current.label && std::isfinite(view.prediction.confidence);
  });
  return agree ? Decision{Verdict::kExit, current} : Decision{};
}

}  // namespace branchy
