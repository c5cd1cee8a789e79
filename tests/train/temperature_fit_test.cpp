#include "train/temperature_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/rng.h"
#include "infer/batch_prediction.h"
#include "infer/policies/prediction.h"
#include "train/calibration_metrics.h"

namespace branchy {
namespace {

struct Problem {
  std::int64_t classes = 0;
  std::vector<float> values = {};
  std::vector<std::int64_t> labels = {};

  [[nodiscard]] Tensor logits() const {
    return Tensor::from(Shape{std::ssize(labels), classes}, values);
  }
};

/// Normal logits of size `scale`; labels drawn from softmax(logits / temperature).
Problem random_problem(std::uint64_t seed, std::int64_t samples, std::int64_t classes, double scale,
                       double temperature) {
  Rng rng(seed);
  Problem problem{.classes = classes};
  for (std::int64_t i = 0; i < samples; ++i) {
    std::vector<double> weights;
    for (std::int64_t k = 0; k < classes; ++k) {
      problem.values.push_back(static_cast<float>(scale * static_cast<double>(rng.normal())));
      weights.push_back(std::exp(static_cast<double>(problem.values.back()) / temperature));
    }
    double left =
        static_cast<double>(rng.uniform()) * std::accumulate(weights.begin(), weights.end(), 0.0);
    std::int64_t label = 0;
    while (label + 1 < classes && left >= weights[static_cast<std::size_t>(label)])
      left -= weights[static_cast<std::size_t>(label++)];
    problem.labels.push_back(label);
  }
  return problem;
}

long double naive_nll(const Problem& problem, long double temperature) {
  long double sum = 0.0L;
  const auto classes = static_cast<std::size_t>(problem.classes);
  for (std::size_t i = 0; i < problem.labels.size(); ++i) {
    const float* row = problem.values.data() + i * classes;
    const long double largest = *std::max_element(row, row + classes);
    long double weights = 0.0L;
    for (std::size_t k = 0; k < classes; ++k)
      weights += std::exp((static_cast<long double>(row[k]) - largest) / temperature);
    const auto label = static_cast<std::size_t>(problem.labels[i]);
    sum += std::log(weights) - (static_cast<long double>(row[label]) - largest) / temperature;
  }
  return sum / static_cast<long double>(problem.labels.size());
}

/// Golden-section search over ln T: no derivatives, no shared code.
double naive_temperature(const Problem& problem) {
  const long double ratio = (std::sqrt(5.0L) - 1.0L) / 2.0L;
  long double low = std::log(0.01L);
  long double high = std::log(100.0L);
  const auto nll = [&](long double t) { return naive_nll(problem, std::exp(t)); };
  long double left = high - ratio * (high - low);
  long double right = low + ratio * (high - low);
  long double at_left = nll(left);
  long double at_right = nll(right);
  while (high - low > 1e-8L) {
    if (at_left < at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - ratio * (high - low);
      at_left = nll(left);
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + ratio * (high - low);
      at_right = nll(right);
    }
  }
  return static_cast<double>(std::exp((low + high) / 2.0L));
}

TEST(TemperatureFit, AgreesWithGoldenSectionOnRandomProblems) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    const double truth = std::exp(4.0 * static_cast<double>(rng.uniform()) - 2.0);
    const double scale = std::exp(2.0 * static_cast<double>(rng.uniform()));
    const Problem problem = random_problem(seed, 150, 2 + rng.below(12), scale, truth);
    const TemperatureFit fit = fit_temperature(problem.logits(), problem.labels);
    ASSERT_EQ(fit.status, TemperatureFitStatus::kFitted) << seed << " " << describe(fit.status);
    EXPECT_NEAR(fit.temperature, naive_temperature(problem), 1e-4) << "seed " << seed;
    EXPECT_NEAR(fit.nll_before, static_cast<double>(naive_nll(problem, 1.0L)), 1e-12);
    EXPECT_LT(fit.nll_after, fit.nll_before);
    EXPECT_LE(fit.iterations, 15) << "seed " << seed;
  }
}

TEST(TemperatureFit, FindsTheTemperatureThatMadeTheLabels) {
  const Problem problem = random_problem(5, 20000, 10, 3.0, 1.7);
  EXPECT_NEAR(fit_temperature(problem.logits(), problem.labels).temperature, 1.7, 0.05);
}

TEST(TemperatureFit, GetsThereFromFarAway) {
  for (const double factor : {0.03, 60.0}) {
    Problem problem = random_problem(6, 300, 5, 2.0, 1.0);
    const double before = fit_temperature(problem.logits(), problem.labels).temperature;
    for (float& value : problem.values) value *= static_cast<float>(factor);
    const TemperatureFit fit = fit_temperature(problem.logits(), problem.labels);
    EXPECT_EQ(fit.status, TemperatureFitStatus::kFitted);
    EXPECT_NEAR(fit.temperature / (factor * before), 1.0, 1e-5);
  }
}

// Three of four samples are of the class that softmax gives 3/4: nothing to gain.
TEST(TemperatureFit, StaysAtOneWhenThatIsTheMinimum) {
  const float three = std::log(3.0F);
  const Problem problem{2, {0, three, 0, three, 0, three, 0, three}, {1, 1, 1, 0}};
  const TemperatureFit fit = fit_temperature(problem.logits(), problem.labels);
  EXPECT_NEAR(fit.temperature, 1.0, 1e-6);
  EXPECT_LE(fit.nll_after, fit.nll_before);
}

void expect_refused(const Problem& problem, TemperatureFitStatus status) {
  const TemperatureFit fit = fit_temperature(problem.logits(), problem.labels);
  EXPECT_EQ(fit.status, status) << describe(fit.status);
  EXPECT_EQ(fit.temperature, 1.0);
  EXPECT_EQ(fit.samples, std::ssize(problem.labels));
  EXPECT_FALSE(describe(fit.status).empty());
}

TEST(TemperatureFit, RefusesWhatHasNoMinimum) {
  using Status = TemperatureFitStatus;
  expect_refused({3, {}, {}}, Status::kTooFewSamples);
  EXPECT_TRUE(std::isnan(fit_temperature(Tensor::zeros({0, 3}), {}).nll_before));
  expect_refused({3, {1, 2, 3}, {2}}, Status::kTooFewSamples);
  expect_refused({2, {1, 2, 2, 1}, {1, 1}}, Status::kOneClass);
  expect_refused({2, {1, 2, 2, 1}, {1, 0}}, Status::kTooLow);              // all right
  expect_refused({2, {1, 2, 2, 1}, {0, 1}}, Status::kTooHigh);             // all wrong
  expect_refused({2, {4000, 9000, 9000, 100}, {0, 1}}, Status::kTooHigh);  // and very sure
  expect_refused({2, {3, 3, 5, 5}, {0, 1}}, Status::kTooHigh);             // nothing known
}

// Wrong but second best of many: there is a minimum.
TEST(TemperatureFit, FitsWrongSamplesThatAreNearlyRight) {
  const Problem problem{4, {3, 2.5F, -2, -2, -2, 3, 2.5F, -2}, {1, 2}};
  const TemperatureFit fit = fit_temperature(problem.logits(), problem.labels);
  EXPECT_EQ(fit.status, TemperatureFitStatus::kFitted);
  EXPECT_NEAR(fit.temperature, naive_temperature(problem), 1e-4);
}

TEST(TemperatureFit, LeavesEveryClassAsItIs) {
  const Problem problem = random_problem(12, 2000, 10, 4.0, 2.0);
  const Tensor logits = problem.logits();
  const auto temperature = static_cast<float>(fit_temperature(logits, problem.labels).temperature);
  const auto before = predict_all(1, logits);
  const auto after = predict_all(1, logits, temperature);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].label, after[i].label);
    EXPECT_LT(after[i].confidence, before[i].confidence);
  }
}

}  // namespace
}  // namespace branchy
