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
                                       std::int64_t lines, std::int64_t samples,
                                       const RiskTarget& target) {
  target.validate();
  if (lines < 1 || candidates.empty() || std::ssize(candidates) % lines != 0)
    throw Error(fmt::format("[risk] {} candidates are no {} sequences of equal length",
                            candidates.size(), lines));
  const double level = target.delta / static_cast<double>(lines);
  const std::int64_t length = std::ssize(candidates) / lines;
  std::optional<RiskChoice> choice;
  std::int64_t accepted = 0;
  for (std::int64_t line = 0; line < lines; ++line) {
    for (std::int64_t i = line * length; i < (line + 1) * length; ++i) {
      const RiskCandidate& candidate = candidates[static_cast<std::size_t>(i)];
      if (candidate.excess_errors < 0 || candidate.excess_errors > samples)
        throw Error(
            fmt::format("[risk] {} errors in {} samples", candidate.excess_errors, samples));
      if (binomial_cdf(candidate.excess_errors, samples, target.epsilon) > level) break;
      ++accepted;
      if (!choice || candidate.cost < candidates[static_cast<std::size_t>(choice->index)].cost)
        choice = RiskChoice{.index = i};
    }
  }
  if (!choice) return std::nullopt;
  const auto& chosen = candidates[static_cast<std::size_t>(choice->index)];
  choice->bound = clopper_pearson_upper(chosen.excess_errors, samples, level);
  choice->num_accepted = accepted;
  return choice;
}

std::int64_t samples_needed(const RiskTarget& target, std::int64_t lines) {
  // (1 - epsilon)^n <= delta / lines
  return static_cast<std::int64_t>(
      std::ceil(std::log(target.delta / static_cast<double>(lines)) / std::log1p(-target.epsilon)));
}

}  // namespace branchy
