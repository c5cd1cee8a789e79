#include "train/calibration_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

/// Random confidences; on a grid of `steps`, so that there are ties, unless 0.
Confidences random_confidences(std::uint64_t seed, std::size_t count, double steps) {
  Rng rng(seed);
  Confidences data;
  for (std::size_t i = 0; i < count; ++i) {
    double confidence = 0.05 + 0.95 * static_cast<double>(rng.uniform());
    if (steps > 0.0) confidence = std::ceil(confidence * steps) / steps;
    data.confidence.push_back(confidence);
    data.correct.push_back(static_cast<double>(rng.uniform()) < confidence * confidence ? 1 : 0);
  }
  return data;
}

void shuffle(Confidences& data, std::uint64_t seed) {
  Rng rng(seed);
  for (std::size_t i = data.confidence.size(); i > 1; --i) {
    const auto j = static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(i)));
    std::swap(data.confidence[i - 1], data.confidence[j]);
    std::swap(data.correct[i - 1], data.correct[j]);
  }
}

// Bins (1/2, 3/4] and (3/4, 1] of four: gaps 0.6 - 0.5 of two samples and 0.9 - 1 of one.
TEST(CalibrationMetrics, ExpectedErrorByHand) {
  const Confidences data{{0.55, 0.65, 0.9}, {1, 0, 1}};
  EXPECT_NEAR(expected_calibration_error(data, 4), (2 * 0.1 + 0.1) / 3, 1e-15);
  const auto bins = reliability_bins(data, 4);
  ASSERT_EQ(bins.size(), 4U);
  EXPECT_EQ(bins[0].samples, 0);
  EXPECT_TRUE(std::isnan(bins[0].accuracy));
  EXPECT_TRUE(std::isnan(bins[0].confidence));
  EXPECT_EQ(bins[2].samples, 2);
  EXPECT_DOUBLE_EQ(bins[2].low, 0.5);
  EXPECT_DOUBLE_EQ(bins[2].high, 0.75);
  EXPECT_DOUBLE_EQ(bins[2].accuracy, 0.5);
  EXPECT_NEAR(bins[2].confidence, 0.6, 1e-15);
}

TEST(CalibrationMetrics, ABinHoldsItsUpperEdge) {
  const auto bins = reliability_bins({{0.25, 0.5, 1.0}, {1, 1, 1}}, 4);
  EXPECT_EQ(bins[0].samples, 1);
  EXPECT_EQ(bins[1].samples, 1);
  EXPECT_EQ(bins[2].samples, 0);
  EXPECT_EQ(bins[3].samples, 1);
}

// Halves of four samples: gaps |1 - 1.1| and |2 - 1.7|.
TEST(CalibrationMetrics, AdaptiveErrorByHand) {
  const Confidences data{{0.9, 0.5, 0.8, 0.6}, {1, 0, 1, 1}};
  EXPECT_NEAR(adaptive_calibration_error(data, 2), (0.1 + 0.3) / 4, 1e-15);
}

// Right at 0.9 and 0.6, wrong at 0.6 and 0.3: 3 of 4 pairs in order, one tie that counts half.
TEST(CalibrationMetrics, AurocCountsTiesHalf) {
  EXPECT_DOUBLE_EQ(confidence_auroc({{0.9, 0.6, 0.6, 0.3}, {1, 1, 0, 0}}), 3.5 / 4);
  EXPECT_DOUBLE_EQ(confidence_auroc({{0.5, 0.5, 0.5}, {1, 0, 0}}), 0.5);
}

// Risks at coverage 1 to 4: 0, 1/2, 1/3, 2/4.
TEST(CalibrationMetrics, RiskCoverageByHand) {
  EXPECT_NEAR(risk_coverage_area({{0.9, 0.8, 0.7, 0.6}, {1, 0, 1, 0}}),
              (0.0 + 1.0 / 2 + 1.0 / 3 + 2.0 / 4) / 4, 1e-15);
  // Equal confidences: half an error each, in whatever order.
  EXPECT_NEAR(risk_coverage_area({{0.5, 0.5}, {0, 1}}), 0.5, 1e-15);
}

TEST(CalibrationMetrics, AgreeWithNaiveDefinitions) {
  for (const double steps : {0.0, 12.0}) {
    const Confidences data = random_confidences(7, 400, steps);
    const auto n = static_cast<double>(data.confidence.size());
    double ece = 0.0;
    for (int b = 0; b < 15; ++b) {
      double count = 0.0;
      double confidence = 0.0;
      double correct = 0.0;
      for (std::size_t i = 0; i < data.confidence.size(); ++i)
        if (data.confidence[i] > b / 15.0 && data.confidence[i] <= (b + 1) / 15.0) {
          ++count;
          confidence += data.confidence[i];
          correct += data.correct[i];
        }
      if (count > 0.0) ece += count / n * std::abs(correct / count - confidence / count);
    }
    EXPECT_NEAR(expected_calibration_error(data), ece, 1e-12) << steps;

    double pairs = 0.0;
    double ordered = 0.0;
    for (std::size_t i = 0; i < data.confidence.size(); ++i)
      for (std::size_t j = 0; j < data.confidence.size(); ++j)
        if (data.correct[i] == 1.0 && data.correct[j] == 0.0) {
          ++pairs;
          ordered += data.confidence[i] > data.confidence[j]    ? 1.0
                     : data.confidence[i] == data.confidence[j] ? 0.5
                                                                : 0.0;
        }
    EXPECT_NEAR(confidence_auroc(data), ordered / pairs, 1e-12) << steps;
  }
  // Without ties: the error rate of those at least as confident as each sample.
  const Confidences data = random_confidences(8, 300, 0.0);
  double area = 0.0;
  for (const double threshold : data.confidence) {
    double count = 0.0;
    double errors = 0.0;
    for (std::size_t i = 0; i < data.confidence.size(); ++i)
      if (data.confidence[i] >= threshold) {
        ++count;
        errors += 1.0 - data.correct[i];
      }
    area += errors / count / 300.0;
  }
  EXPECT_NEAR(risk_coverage_area(data), area, 1e-12);
}

TEST(CalibrationMetrics, DoNotDependOnTheOrderOfSamples) {
  const Confidences data = random_confidences(9, 500, 10.0);
  Confidences other = data;
  shuffle(other, 3);
  EXPECT_NEAR(expected_calibration_error(other), expected_calibration_error(data), 1e-13);
  EXPECT_NEAR(adaptive_calibration_error(other), adaptive_calibration_error(data), 1e-13);
  EXPECT_NEAR(confidence_auroc(other), confidence_auroc(data), 1e-13);
  EXPECT_NEAR(risk_coverage_area(other), risk_coverage_area(data), 1e-13);
}

TEST(CalibrationMetrics, LikelihoodAndBrierAgreeWithSoftmaxInLongDouble) {
  Rng rng(11);
  std::vector<float> values(50 * 7);
  std::vector<std::int64_t> labels;
  for (float& value : values) value = 8.0F * rng.uniform() - 4.0F;
  for (int i = 0; i < 50; ++i) labels.push_back(rng.below(7));
  const Tensor logits = Tensor::from(Shape{50, 7}, values);
  for (const double temperature : {0.3, 1.0, 2.5}) {
    long double nll = 0.0L;
    long double brier = 0.0L;
    for (std::size_t i = 0; i < 50; ++i) {
      long double sum = 0.0L;
      for (std::size_t k = 0; k < 7; ++k)
        sum += std::exp(static_cast<long double>(values[7 * i + k]) / temperature);
      for (std::size_t k = 0; k < 7; ++k) {
        const long double p =
            std::exp(static_cast<long double>(values[7 * i + k]) / temperature) / sum;
        const bool right = labels[i] == static_cast<std::int64_t>(k);
        if (right) nll -= std::log(p) / 50.0L;
        brier += (p - (right ? 1.0L : 0.0L)) * (p - (right ? 1.0L : 0.0L)) / 50.0L;
      }
    }
    EXPECT_NEAR(negative_log_likelihood(logits, labels, temperature), static_cast<double>(nll),
                1e-12);
    EXPECT_NEAR(brier_score(logits, labels, temperature), static_cast<double>(brier), 1e-12);
  }
}

TEST(CalibrationMetrics, TakeTheLowestOfEqualClassesAndLargeLogits) {
  const Tensor logits = Tensor::from(Shape{2, 3}, std::vector<float>{2, 2, 1, 30000, -30000, 0});
  const std::vector<std::int64_t> labels{0, 1};
  const CalibrationMetrics metrics = calibration_metrics(logits, labels, 1.0);
  EXPECT_EQ(metrics.accuracy, 0.5);
  EXPECT_NEAR(metrics.confidence, (1.0 / (2.0 + std::exp(-1.0)) + 1.0) / 2, 1e-15);
  EXPECT_NEAR(metrics.nll, (std::log(2.0 + std::exp(-1.0)) + 60000.0) / 2, 1e-9);
  EXPECT_EQ(metrics.samples, 2);
  EXPECT_EQ(std::ssize(metrics.bins), kReliabilityBins);
}

TEST(CalibrationMetrics, AreNotANumberWhereTheSamplesDefineNone) {
  const CalibrationMetrics none = calibration_metrics(Tensor::zeros({0, 4}), {}, 1.0);
  for (const double value : {none.accuracy, none.confidence, none.nll, none.ece, none.adaptive_ece,
                             none.brier, none.auroc, none.aurc})
    EXPECT_TRUE(std::isnan(value));
  EXPECT_TRUE(std::isnan(confidence_auroc({{0.3, 0.4}, {1, 1}})));
  EXPECT_TRUE(std::isnan(confidence_auroc({{0.3, 0.4}, {0, 0}})));
  EXPECT_EQ(risk_coverage_area({{0.3, 0.4}, {1, 1}}), 0.0);
}

TEST(CalibrationMetrics, RefuseWhatDoesNotFit) {
  const std::vector<std::int64_t> labels{0, 5};
  expect_error<ShapeError>(
      [&] {
        (void)calibration_metrics(Tensor::zeros({3, 4}), labels, 1.0);
      },
      {"[3,4]", "[2, classes]"});
  expect_error<DataError>(
      [&] {
        (void)calibration_metrics(Tensor::zeros({2, 4}), labels, 1.0);
      },
      {"label 5", "0 to 3"});
  for (const double temperature : {0.0, -1.0, std::numeric_limits<double>::infinity()})
    expect_error<ConfigError>(
        [&] {
          (void)calibration_metrics(Tensor::zeros({2, 6}), labels, temperature);
        },
        {"temperature"});
}

}  // namespace
}  // namespace branchy
