#include "train/binomial_bound.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

/// The definition: every probability from the one before, in long double.
double summed_cdf(std::int64_t k, std::int64_t n, long double p) {
  long double term = std::exp(static_cast<long double>(n) * std::log1p(-p));
  long double sum = term;
  for (std::int64_t i = 0; i < k; ++i) {
    term *= static_cast<long double>(n - i) / static_cast<long double>(i + 1) * p / (1.0L - p);
    sum += term;
  }
  return static_cast<double>(sum);
}

TEST(BinomialBound, CdfIsTheSumOfTheProbabilities) {
  for (const std::int64_t n : {1, 2, 7, 30, 299, 5000, 10000}) {
    for (const double p : {0.001, 0.01, 0.1, 0.5, 0.73}) {
      if (static_cast<double>(n) * std::log1p(-p) < -11000.0) continue;  // below long double
      for (const double share : {0.0, 0.2, 0.7, 1.0, 1.3, 2.0}) {
        const auto k = static_cast<std::int64_t>(share * static_cast<double>(n) * p);
        if (k >= n) continue;
        const double expected = summed_cdf(k, n, static_cast<long double>(p));
        EXPECT_NEAR(binomial_cdf(k, n, p), expected, 1e-10 * expected) << k << " " << n << " " << p;
      }
    }
  }
}

TEST(BinomialBound, CdfHasItsLimits) {
  EXPECT_EQ(binomial_cdf(-1, 10, 0.3), 0.0);
  EXPECT_EQ(binomial_cdf(10, 10, 0.3), 1.0);
  EXPECT_EQ(binomial_cdf(0, 10, 0.0), 1.0);
  EXPECT_EQ(binomial_cdf(9, 10, 1.0), 0.0);
  EXPECT_THROW((void)binomial_cdf(1, 10, std::nan("")), Error);
  EXPECT_THROW((void)binomial_cdf(1, 10, 1.5), Error);
}

TEST(BinomialBound, UpperLimitAgreesWithPrintedTables) {
  // Two-sided 95 % intervals of Clopper and Pearson: their upper ends, at 0.025.
  EXPECT_NEAR(clopper_pearson_upper(5, 10, 0.025), 0.8129, 5e-5);
  EXPECT_NEAR(clopper_pearson_upper(1, 20, 0.025), 0.2487, 5e-5);
  EXPECT_NEAR(clopper_pearson_upper(10, 100, 0.025), 0.1762, 5e-5);
  EXPECT_EQ(clopper_pearson_upper(7, 7, 0.05), 1.0);
}

TEST(BinomialBound, UpperLimitHasItsClosedForms) {
  for (const std::int64_t n : {1, 10, 299, 5000}) {
    const double root = 1.0 / static_cast<double>(n);
    EXPECT_NEAR(clopper_pearson_upper(0, n, 0.05), -std::expm1(std::log(0.05) * root), 1e-12);
    if (n > 1) {
      EXPECT_NEAR(clopper_pearson_upper(n - 1, n, 0.05), std::exp(std::log(0.95) * root), 1e-12);
    }
  }
}

TEST(BinomialBound, UpperLimitIsWhereTheTailIsDelta) {
  for (const double delta : {0.001, 0.05, 0.5, 0.9}) {
    const double limit = clopper_pearson_upper(38, 5000, delta);
    EXPECT_NEAR(summed_cdf(38, 5000, static_cast<long double>(limit)), delta, 1e-9);
  }
}

TEST(BinomialBound, AbsurdCountsAreRefused) {
  for (const double delta : {0.0, 1.0, -0.1, std::nan("")})
    test::expect_error<Error>([&] { (void)clopper_pearson_upper(1, 10, delta); }, {"delta"});
  test::expect_error<Error>([] { (void)clopper_pearson_upper(11, 10, 0.1); }, {"11 errors in 10"});
  test::expect_error<Error>([] { (void)clopper_pearson_upper(0, 0, 0.1); }, {"0 trials"});
}

}  // namespace
}  // namespace branchy
