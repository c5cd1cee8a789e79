// Exact binomial tails and Clopper-Pearson limits: what a count of errors proves about their rate.
#pragma once

#include <cstdint>

namespace branchy {

/// P(X <= k) of X ~ Binomial(n, p), by summing the probabilities of the shorter tail from its
/// largest term on. Relative error below 1e-9 for n <= 1e7. Throws Error unless n >= 0 and p is
/// within 0..1; k below 0 gives 0, k >= n gives 1.
[[nodiscard]] double binomial_cdf(std::int64_t k, std::int64_t n, double p);

/// One-sided upper limit of a rate after k errors in n independent trials: the largest p with
/// P(X <= k) >= delta, so that the true rate exceeds it with probability at most delta (Clopper and
/// Pearson, Biometrika 26, 1934). 1 for k == n. Throws Error unless 0 <= k <= n, n >= 1 and
/// 0 < delta < 1.
[[nodiscard]] double clopper_pearson_upper(std::int64_t k, std::int64_t n, double delta);

}  // namespace branchy
