#include "infer/policies/max_probability.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "infer/batch_prediction.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

TEST(MaxProbability, IsTheLargestSoftmaxProbability) {
  const Prediction p = predict(2, std::vector<float>{1.0F, 3.0F, 2.0F});
  EXPECT_EQ(p.exit, 2);
  EXPECT_EQ(p.label, 1);
  EXPECT_NEAR(p.confidence, 1.0 / (1.0 + std::exp(-1.0) + std::exp(-2.0)), 1e-6);
}

TEST(MaxProbability, EqualScoresGiveTheLowestLabel) {
  const Prediction p = predict(1, std::vector<float>{0.0F, 5.0F, 5.0F, 5.0F});
  EXPECT_EQ(p.label, 1);
}

TEST(MaxProbability, HugeScoresDoNotOverflow) {
  const Prediction p = predict(1, std::vector<float>{3e38F, -3e38F});
  EXPECT_EQ(p.label, 0);
  EXPECT_EQ(p.confidence, 1.0F);
}

TEST(MaxProbability, ScoresThatAreNoNumbersNeverExit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(should_exit(predict(1, std::vector<float>{1.0F, nan}).confidence, 0.0F));
}

TEST(MaxProbability, LeavesAtTheThresholdItself) {
  EXPECT_TRUE(should_exit(0.5F, 0.5F));
  EXPECT_FALSE(should_exit(0.5F, std::nextafter(0.5F, 1.0F)));
  EXPECT_TRUE(should_exit(predict(1, std::vector<float>{100.0F, 0.0F}).confidence, 1.0F));
}

TEST(MaxProbability, PredictsEveryRow) {
  const Tensor logits = Tensor::from({2, 3}, std::vector<float>{0, 1, 0, 2, 0, 0});
  const auto predictions = predict_all(3, logits);
  ASSERT_EQ(predictions.size(), 2U);
  EXPECT_EQ(predictions[0].label, 1);
  EXPECT_EQ(predictions[1].label, 0);
  expect_error<ShapeError>([] { static_cast<void>(predict_all(1, Tensor::zeros({3}))); }, {"[3]"});
  expect_error<ShapeError>([] { static_cast<void>(predict(1, {})); }, {"no scores"});
}

TEST(MaxProbability, FallsBackToTheMostConfidentAndShallowest) {
  const std::vector<Prediction> predictions{{1, 4, 0.3F}, {2, 5, 0.6F}, {3, 6, 0.6F}};
  EXPECT_EQ(most_confident(predictions).exit, 2);
  expect_error<Error>([] { static_cast<void>(most_confident({})); }, {"no exit"});
}

TEST(MaxProbability, OneThresholdServesEveryEarlyExit) {
  EXPECT_EQ(resolve_thresholds(std::vector{0.8F}, 3), (std::vector{0.8F, 0.8F, 0.8F}));
  EXPECT_EQ(resolve_thresholds(std::vector{0.8F, 0.0F}, 2), (std::vector{0.8F, 0.0F}));
}

TEST(MaxProbability, RefusesAbsurdThresholds) {
  const auto resolve = [](std::vector<float> given, std::int64_t exits) {
    static_cast<void>(resolve_thresholds(given, exits));
  };
  expect_error<ConfigError>([&] { resolve({1.5F}, 2); }, {"1.5", "0 to 1"});
  expect_error<ConfigError>([&] { resolve({-0.1F}, 2); }, {"-0.1"});
  expect_error<ConfigError>([&] { resolve({std::nanf("")}, 2); }, {"nan"});
  expect_error<ConfigError>([&] { resolve({0.5F, 0.5F}, 3); }, {"2 values", "3 early exits"});
  expect_error<ConfigError>([&] { resolve({}, 2); }, {"0 values"});
}

}  // namespace
}  // namespace branchy
