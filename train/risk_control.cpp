#include "train/risk_control.h"

#include <fmt/core.h>

#include <cmath>

#include "core/error.h"
#include "train/binomial_bound.h"

namespace branchy {

void RiskTarget::validate() const {
  if (!(epsilon > 0.0 && epsilon < 1.0))
    throw ConfigError(fmt::format(
        "[risk] epsilon {}, expected the accuracy that may be lost, between 0 and 1 (0.01: one "
        "point)",
        epsilon));
  if (!(delta > 0.0 && delta < 1.0))
    throw ConfigError(fmt::format(
        "[risk] delta {}, expected the probability that the promise breaks, between 0 and 1",
        delta));
}

std::optional<RiskChoice> control_risk(std::span<const RiskCandidate> candidates,
                                       std::span<const std::int64_t> lengths, std::int64_t samples,
                                       const RiskTarget& target) {
  target.validate();
  std::int64_t sum = 0;
  for (const std::int64_t length : lengths) {
    if (length < 1) throw Error(fmt::format("[risk] a sequence of {} candidates", length));
    sum += length;
  }
  if (lengths.empty() || sum != std::ssize(candidates))
    throw Error(fmt::format("[risk] {} candidates in {} sequences of {} in all", candidates.size(),
                            lengths.size(), sum));
  const double level = target.delta / static_cast<double>(lengths.size());
  const RiskCandidate* chosen = nullptr;
  RiskChoice choice;
  for (auto rest = candidates; const std::int64_t length : lengths) {
    for (const RiskCandidate& candidate : rest.first(static_cast<std::size_t>(length))) {
      if (candidate.excess_errors < 0 || candidate.excess_errors > samples)
        throw Error(
            fmt::format("[risk] {} errors in {} samples", candidate.excess_errors, samples));
      if (binomial_cdf(candidate.excess_errors, samples, target.epsilon) > level) break;
      ++choice.num_accepted;
      if (chosen == nullptr || candidate.cost < chosen->cost) chosen = &candidate;
    }
    rest = rest.subspan(static_cast<std::size_t>(length));
  }
  if (chosen == nullptr) return std::nullopt;
  choice.index = chosen - candidates.data();
  choice.bound = clopper_pearson_upper(chosen->excess_errors, samples, level);
  return choice;
}

std::int64_t samples_needed(const RiskTarget& target, std::int64_t sequences) {
  // (1 - epsilon)^n <= delta / sequences
  return static_cast<std::int64_t>(
      std::ceil(std::log(target.delta / static_cast<double>(sequences)) / std::log1p(-target.epsilon)));
}

}  // namespace branchy
