#include "train/binomial_bound.h"

#include <fmt/core.h>

#include <cmath>

#include "core/error.h"

namespace branchy {

namespace {

/// ln of the probability of exactly k; 0 < p < 1.
double log_probability(std::int64_t k, std::int64_t n, double p) {
  const auto hits = static_cast<double>(k);
  const auto misses = static_cast<double>(n - k);
  return std::lgamma(hits + misses + 1.0) - std::lgamma(hits + 1.0) - std::lgamma(misses + 1.0) +
         hits * std::log(p) + misses * std::log1p(-p);
}

/// P(X <= k) for k below the mean: the terms shrink from k downwards.
double lower_tail(std::int64_t k, std::int64_t n, double p) {
  const double odds = p / (1.0 - p);
  double term = 1.0;
  double sum = 1.0;
  for (std::int64_t i = k; i > 0; --i) {
    // P(i - 1) / P(i) = i / (n - i + 1) / odds
    term *= static_cast<double>(i) / (static_cast<double>(n - i + 1) * odds);
    sum += term;
    if (term < sum * 1e-18) break;
  }
  return std::exp(log_probability(k, n, p)) * sum;
}

}  // namespace

double binomial_cdf(std::int64_t k, std::int64_t n, double p) {
  if (n < 0 || !(p >= 0.0 && p <= 1.0))
    throw Error(fmt::format("[binomial] n {} and p {}, expected n >= 0 and p in 0..1", n, p));
  if (k < 0) return 0.0;
  if (k >= n || p == 0.0) return 1.0;
  if (p == 1.0) return 0.0;
  if (static_cast<double>(k) <= static_cast<double>(n) * p) return lower_tail(k, n, p);
  return 1.0 - lower_tail(n - k - 1, n, 1.0 - p);  // misses instead of hits
}

double clopper_pearson_upper(std::int64_t k, std::int64_t n, double delta) {
  if (n < 1 || k < 0 || k > n || !(delta > 0.0 && delta < 1.0))
    throw Error(
        fmt::format("[Clopper-Pearson] {} errors in {} trials at delta {}, expected 0 <= errors <= "
                    "trials, a trial or more and delta between 0 and 1",
                    k, n, delta));
  if (k == n) return 1.0;
  double low = 0.0;  // above k / n only for a small delta
  double high = 1.0;
  // P(X <= k) falls in p; halve until the doubles meet.
  while (true) {
    const double middle = low + (high - low) / 2.0;
    if (middle <= low || middle >= high) return high;
    (binomial_cdf(k, n, middle) >= delta ? low : high) = middle;
  }
}

}  // namespace branchy
