#include "train/predictor_evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

/// Random logits of 4 classes at three exits for 120 samples, with scores.
LogitsCache random_cache(std::uint64_t seed) {
  constexpr std::int64_t kSamples = 120;
  Rng rng(seed);
  LogitsCache cache;
  for (int exit = 0; exit < 3; ++exit) {
    auto& logits = cache.logits.emplace_back(Shape{kSamples, 4});
    for (float& value : logits.mutable_data()) value = 2.0F * rng.normal();
  }
  cache.scores = Tensor(Shape{kSamples, 2});
  for (float& value : cache.scores.mutable_data()) value = rng.uniform();
  for (std::int64_t i = 0; i < kSamples; ++i) {
    cache.labels.push_back(rng.below(4));
    cache.indices.push_back(kSamples - 1 - i);
  }
  cache.costs = {.trunk = {100, 200, 400}, .exit = {70, 30, 5}, .predictor = 4};
  return cache;
}

TEST(PredictorEvaluation, ClosedFormsEqualTheSimulation) {
  const StoredExits exits(random_cache(3), std::vector<float>{1.5F, 0.7F, 1.0F});
  const std::vector<float> thresholds{0.7F, 0.6F};
  const PredictedExits predicted = predicted_exits(exits, thresholds);
  const PolicyOutcome plain = outcome_of(exits, plain_policy(thresholds));
  EXPECT_DOUBLE_EQ(plain.device_operations, outcome_without_predictor(predicted).device_operations);
  EXPECT_DOUBLE_EQ(plain.last_share, outcome_without_predictor(predicted).last_share);
  for (const std::vector<float>& gamma :
       {std::vector<float>{0.0F, 0.0F}, {0.35F, 0.8F}, {1, 0.5F}}) {
    const PolicyOutcome outcome = outcome_of(exits, predictor_policy(thresholds, gamma));
    const DeviceOutcome closed = outcome_with_predictor(predicted, gamma);
    EXPECT_DOUBLE_EQ(outcome.device_operations, closed.device_operations);
    EXPECT_DOUBLE_EQ(outcome.last_share, closed.last_share);
  }
  const PredictorEvaluation all = evaluate_predictor(exits, thresholds, {0.0F, 0.0F});
  EXPECT_EQ(all.with.accuracy, all.without.accuracy);
  EXPECT_NEAR(all.saved(), -4.0 / all.without.device_operations, 1e-12) << "its own operations";
  EXPECT_LT(all.oracle.device_operations, all.without.device_operations);
  EXPECT_EQ(all.oracle.accuracy, all.without.accuracy);
  EXPECT_FALSE(all.keeps_promise());
}

TEST(PredictorEvaluation, ThePromiseHasThreeParts) {
  PredictorEvaluation e;
  e.without = {.policy = "", .accuracy = 0.9, .last_share = 0.3, .device_operations = 100.0};
  e.with = {.policy = "", .accuracy = 0.899, .last_share = 0.319, .device_operations = 99.0};
  EXPECT_TRUE(e.keeps_promise()) << "0.1 points lost are allowed";
  e.with.accuracy = 0.8989;
  EXPECT_FALSE(e.keeps_promise());
  e.with.accuracy = 0.9;
  e.with.last_share = 0.32;
  EXPECT_FALSE(e.keeps_promise()) << "two points are not less than two";
  e.with.last_share = 0.3;
  e.with.device_operations = 100.0;
  EXPECT_FALSE(e.keeps_promise());
}

TEST(PredictorEvaluation, SamplesAreTakenByTheirIndex) {
  const LogitsCache cache = random_cache(5);
  const std::vector<std::int64_t> positions{2, 119};
  const LogitsCache some = take_samples(cache, positions);
  EXPECT_EQ(some.indices, positions);
  EXPECT_EQ(some.labels, (std::vector<std::int64_t>{cache.labels[117], cache.labels[0]}));
  EXPECT_EQ(some.logits[1].shape(), (Shape{2, 4}));
  EXPECT_TRUE(std::ranges::equal(some.scores.data().subspan(0, 2),
                                 cache.scores.data().subspan(2 * 117, 2)));
  test::expect_error<DataError>(
      [&] { static_cast<void>(take_samples(cache, std::vector<std::int64_t>{120})); },
      {"sample 120", "120 of the cache"});
  LogitsCache without = cache;
  without.scores = {};
  const StoredExits exits(without, {});
  test::expect_error<DataError>(
      [&] {
        static_cast<void>(predicted_exits(exits, std::vector<float>{0.5F, 0.5F}));
      },
      {"no scores"});
}

}  // namespace
}  // namespace branchy
