#include "train/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/models/registry.h"

namespace branchy {
namespace {

/// Five samples at three exits, by hand.
ExitPredictions by_hand() {
  const auto at = [](std::int64_t exit, std::int64_t label, float confidence) {
    return Prediction{.exit = exit, .label = label, .confidence = confidence};
  };
  ExitPredictions data;
  data.labels = {0, 1, 2, 3, 4};
  data.predictions = {
      {at(1, 0, 0.9F), at(1, 9, 0.9F), at(1, 2, 0.5F), at(1, 9, 0.1F), at(1, 4, 0.89F)},
      {at(2, 0, 0.2F), at(2, 1, 1.0F), at(2, 2, 0.95F), at(2, 9, 0.2F), at(2, 9, 0.5F)},
      {at(3, 9, 0.9F), at(3, 1, 0.9F), at(3, 9, 0.9F), at(3, 3, 0.4F), at(3, 4, 0.9F)}};
  return data;
}

TEST(Evaluation, AccuracyOfAllSamplesAtEachExit) {
  EXPECT_EQ(accuracy_of_all(by_hand()), (std::vector<double>{3.0 / 5, 3.0 / 5, 3.0 / 5}));
}

TEST(Evaluation, EqualityWithTheThresholdExits) {
  const std::vector<float> thresholds{0.9F, 0.95F};
  EXPECT_EQ(route(by_hand(), thresholds), (std::vector<std::int64_t>{1, 1, 2, 3, 3}));
}

// Eq. 3 of Dong et al. with Table V's ResNet44: O_l1 + O_e1 for all, O_l2 + O_e2 for those that go
// on.
TEST(Evaluation, ReportsSharesAccuracyAndOnDeviceOperations) {
  Rng rng(1);
  const auto network = make_network({.name = "resnet44", .classes = 10, .early_exits = 2}, rng);
  const std::vector<float> thresholds{0.9F, 0.95F};
  const ThresholdReport report = report_threshold(by_hand(), thresholds, *network);
  ASSERT_EQ(report.exits.size(), 3U);
  EXPECT_EQ(report.exits[0].samples, 2);
  EXPECT_DOUBLE_EQ(report.exits[0].accuracy, 0.5);
  EXPECT_DOUBLE_EQ(report.exits[1].accuracy, 1.0);
  EXPECT_DOUBLE_EQ(report.exits[2].share, 0.4);
  EXPECT_DOUBLE_EQ(report.accuracy, 4.0 / 5);
  const double first = 5292032 + 9658378;
  const double second = 32530432 + 4788234;
  EXPECT_NEAR(report.mean_device_operations, first + 0.6 * second, 1e-6);
}

TEST(Evaluation, AnEmptyGroupHasNoAccuracy) {
  Rng rng(1);
  const auto network = make_network({.name = "resnet44", .classes = 10, .early_exits = 2}, rng);
  const std::vector<float> thresholds{1.0F, 1.0F};
  const ThresholdReport report = report_threshold(by_hand(), thresholds, *network);
  EXPECT_EQ(report.exits[0].samples, 0);
  EXPECT_TRUE(std::isnan(report.exits[0].accuracy));
}

}  // namespace
}  // namespace branchy
