#include "train/mean_estimate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace branchy {
namespace {

/// Integral of Student's density from 0 to `end`, by Simpson's rule.
double student_half(double end, double degrees) {
  const double scale = std::exp(std::lgamma((degrees + 1.0) / 2.0) - std::lgamma(degrees / 2.0)) /
                       std::sqrt(degrees * std::acos(-1.0));
  const auto density = [&](double t) {
    return scale * std::pow(1.0 + t * t / degrees, -(degrees + 1.0) / 2.0);
  };
  constexpr int kSteps = 2000;
  const double width = end / kSteps;
  double sum = density(0.0) + density(end);
  for (int i = 1; i < kSteps; ++i) sum += density(width * i) * (i % 2 == 1 ? 4.0 : 2.0);
  return sum * width / 3.0;
}

TEST(MeanEstimate, SmallSamplesTakeTheQuantileOfStudent) {
  for (std::int64_t count = 2; count < 30; ++count)
    EXPECT_NEAR(student_half(quantile_95(count), static_cast<double>(count - 1)), 0.475, 1e-7)
        << count;
  EXPECT_EQ(quantile_95(30), 1.96);
  EXPECT_EQ(quantile_95(100000), 1.96);
}

TEST(MeanEstimate, AgreesWithTwoPasses) {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(1e6 + std::sin(i * 0.7));
  MeanEstimate estimate;
  double sum = 0.0;
  for (const double value : values) {
    estimate.add(value);
    sum += value;
  }
  const double mean = sum / 1000.0;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / 999.0);
  EXPECT_NEAR(estimate.mean(), mean, 1e-8);
  EXPECT_NEAR(estimate.standard_deviation(), deviation, 1e-8);
  EXPECT_NEAR(estimate.half_width_95(), 1.96 * deviation / std::sqrt(1000.0), 1e-9);
}

TEST(MeanEstimate, SaysNothingOfTooFewValues) {
  MeanEstimate estimate;
  EXPECT_TRUE(std::isnan(estimate.mean()));
  estimate.add(0.5);
  EXPECT_EQ(estimate.mean(), 0.5);
  EXPECT_TRUE(std::isnan(estimate.half_width_95()));
  estimate.add(0.5);
  EXPECT_EQ(estimate.half_width_95(), 0.0);
}

}  // namespace
}  // namespace branchy
