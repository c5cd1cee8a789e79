// Risk control: the cheapest setting whose loss of accuracy is bounded with a stated probability.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace branchy {

/// With probability 1 - `delta` over the samples that the choice was made on, the accuracy lost
/// against the full network is at most `epsilon`.
struct RiskTarget {
  double epsilon = 0.01, delta = 0.05;
  /// Throws ConfigError unless 0 < epsilon < 1 and 0 < delta < 1.
  void validate() const;
};

/// A setting to test.
struct RiskCandidate {
  std::int64_t excess_errors = 0;  ///< samples that the full network gets right and it does not
  double cost = 0.0;               ///< what is to be saved, e.g. mean on-device operations
};

struct RiskChoice {
  std::int64_t index = 0;         ///< of the candidate
  double bound = 0.0;             ///< Clopper-Pearson limit of its excess error at delta / sequences
  std::int64_t num_accepted = 0;  ///< candidates for which the promise holds
};

/// Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052) on the excess error of early exits
/// (the prediction gap of Jazbec et al. 2024, arXiv 2405.20915):
///
/// 1. The loss of a sample is 1 when the full network is right and the policy is not (wrong, or
///    dropped), else 0. Its mean R bounds the accuracy lost from above, since samples that only
///    the policy gets right are not credited.
/// 2. k errors in n independent samples have the exact p-value P(Binomial(n, epsilon) <= k) for
///    the hypothesis R > epsilon.
/// 3. `candidates` are sequences of these `lengths`, one after the other, each listed from the
///    safest to the least safe setting. A sequence is tested in order until the first p-value above
///    delta / number of sequences (fixed-sequence testing, Bonferroni over the sequences), so the
///    probability that any accepted candidate has R > epsilon is at most delta. Neither order nor
///    settings may come from the samples; a bad order costs savings, never the promise.
/// 4. All accepted candidates hold at once, so the cheapest of them may be taken; of equally cheap
///    ones the first.
///
/// Nothing when no candidate is accepted. Throws Error when the lengths are not positive or do not
/// add up to the candidates, or a count is outside 0..samples.
[[nodiscard]] std::optional<RiskChoice> control_risk(std::span<const RiskCandidate> candidates,
                                                     std::span<const std::int64_t> lengths,
                                                     std::int64_t samples,
                                                     const RiskTarget& target);

/// The fewest samples with which the target can be met at all: by a setting without an error.
[[nodiscard]] std::int64_t samples_needed(const RiskTarget& target, std::int64_t sequences);

}  // namespace branchy
