#include "train/logistic_regression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

struct Problem {
  std::vector<float> features;  // [n, 2]
  std::vector<std::uint8_t> targets;
};

/// Targets drawn with P(yes) = sigmoid(2 (x - 3) - 0.05 y + 0.7); x has mean 3, y a spread of 10.
Problem draw(std::uint64_t seed, int count) {
  Rng rng(seed);
  Problem problem;
  for (int i = 0; i < count; ++i) {
    const float x = 3.0F + rng.normal();
    const float y = 10.0F * rng.normal();
    problem.features.insert(problem.features.end(), {x, y});
    const float p = 1.0F / (1.0F + std::exp(-(2.0F * (x - 3.0F) - 0.05F * y + 0.7F)));
    problem.targets.push_back(rng.uniform() < p ? 1 : 0);
  }
  return problem;
}

double objective(const Problem& problem, double w0, double w1, double bias, double ridge) {
  const std::size_t n = problem.targets.size();
  double mean[2] = {0.0, 0.0};
  double variance[2] = {0.0, 0.0};
  for (std::size_t i = 0; i < 2 * n; ++i)
    mean[i % 2] += static_cast<double>(problem.features[i]) / static_cast<double>(n);
  for (std::size_t i = 0; i < 2 * n; ++i)
    variance[i % 2] += std::pow(static_cast<double>(problem.features[i]) - mean[i % 2], 2) /
                       static_cast<double>(n);
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double s = w0 * static_cast<double>(problem.features[2 * i]) +
                     w1 * static_cast<double>(problem.features[2 * i + 1]) + bias;
    sum += std::log(1.0 + std::exp(problem.targets[i] != 0 ? -s : s));
  }
  return sum / static_cast<double>(n) +
         ridge / 2.0 * (w0 * w0 * variance[0] + w1 * w1 * variance[1]);
}

TEST(LogisticRegression, FindsTheMinimumOfItsObjective) {
  for (const double ridge : {1e-6, 1e-2, 1.0}) {
    const Problem problem = draw(3, 400);
    const LogisticModel model = fit_logistic(problem.features, problem.targets, 2, ridge);
    const double w0 = model.weights[0];
    const double w1 = model.weights[1];
    const double h = 1e-4;
    const auto at = [&](double a, double b, double c) {
      return objective(problem, w0 + a, w1 + b, model.bias + c, ridge);
    };
    // Slopes by central differences of an objective written apart; y counts by its spread.
    EXPECT_NEAR((at(h, 0, 0) - at(-h, 0, 0)) / (2 * h), 0.0, 1e-6);
    EXPECT_NEAR((at(0, h / 10, 0) - at(0, -h / 10, 0)) / (2 * h), 0.0, 1e-6);
    EXPECT_NEAR((at(0, 0, h) - at(0, 0, -h)) / (2 * h), 0.0, 1e-6);
    EXPECT_NEAR(model.loss, objective(problem, w0, w1, model.bias, 0.0), 1e-9);
  }
}

TEST(LogisticRegression, RecoversTheModelThatDrewTheTargets) {
  const Problem problem = draw(8, 40000);
  const LogisticModel model = fit_logistic(problem.features, problem.targets, 2, 1e-6);
  EXPECT_NEAR(model.weights[0], 2.0, 0.06);
  EXPECT_NEAR(model.weights[1], -0.05, 0.004);
  EXPECT_NEAR(model.bias, 0.7 - 6.0, 0.2);
}

TEST(LogisticRegression, SeparableTargetsStayBounded) {
  const std::vector<float> features{-2, -1, 1, 2};
  const std::vector<std::uint8_t> targets{0, 0, 1, 1};
  const LogisticModel model = fit_logistic(features, targets, 1, 1e-3);
  EXPECT_TRUE(std::isfinite(model.weights[0]));
  EXPECT_GT(model.weights[0], 1.0);
  EXPECT_NEAR(model.bias, 0.0, 1e-6);
}

TEST(LogisticRegression, ConstantFeatureGetsNoWeight) {
  const std::vector<float> features{1, 7, 2, 7, 3, 7, 4, 7};
  const std::vector<std::uint8_t> targets{0, 1, 0, 1};
  const LogisticModel model = fit_logistic(features, targets, 2, 1e-2);
  EXPECT_EQ(model.weights[1], 0.0);
  EXPECT_GT(model.weights[0], 0.0);
}

TEST(LogisticRegression, RefusesWhatCannotBeLearned) {
  const std::vector<float> features{1, 2};
  const std::vector<std::uint8_t> yes{1, 1};
  const std::vector<std::uint8_t> both{0, 1};
  const std::vector<float> infinite{1, INFINITY};
  test::expect_error<DataError>([&] { (void)fit_logistic(features, yes, 1, 0.1); },
                                {"2 of 2 targets"});
  test::expect_error<DataError>([&] { (void)fit_logistic(infinite, both, 1, 0.1); },
                                {"not finite"});
  test::expect_error<Error>([&] { (void)fit_logistic(features, both, 1, 0.0); }, {"ridge 0"});
  test::expect_error<Error>([&] { (void)fit_logistic(features, both, 3, 0.1); }, {"3 features"});
}

}  // namespace
}  // namespace branchy
