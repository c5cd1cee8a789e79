#include "train/policy_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/threads.h"
#include "infer/policies/policy_text.h"
#include "tests/train/random_cache.h"

namespace branchy {
namespace {

/// Exit, class and confidence of a sample by max-probability, from the raw logits in double.
struct Expected {
  std::size_t exit = 0, label = 0;
  double confidence = 0.0;
};

Expected softmax_exit(const LogitsCache& cache, std::size_t sample, double threshold) {
  for (std::size_t exit = 0;; ++exit) {
    const auto row = cache.logits[exit].data().subspan(sample * 4, 4);
    double sum = 0.0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit));
    Expected expected{.exit = exit};
    for (std::size_t k = 0; k < 4; ++k) {
      const double p = std::exp(static_cast<double>(row[k])) / sum;
      if (p > expected.confidence) expected = {.exit = exit, .label = k, .confidence = p};
    }
    if (exit == 2 || expected.confidence >= threshold) return expected;
  }
}

PolicyReport report(const LogitsCache& cache, const char* text) {
  const StoredExits exits(cache, {});
  const std::vector<PolicyPtr> policies{parse_policy(text, 3)};
  return report_policies(exits, policies).front();
}

TEST(PolicyReport, AgreesWithCountingByHand) {
  const LogitsCache cache = test::random_cache(4, 500);
  const PolicyReport result = report(cache, "max-probability:0.8");
  std::int64_t samples[3] = {}, correct[3] = {}, all[3] = {}, excess = 0;
  double confidence[3] = {}, device = 0.0, total = 0.0, bytes = 0.0;
  // Operations of a sample that leaves at an exit: eq. 3 of Dong et al.
  constexpr double kDevice[3] = {110.0, 330.0, 330.0};
  constexpr double kTotal[3] = {110.0, 330.0, 770.0};
  for (std::size_t i = 0; i < 500; ++i) {
    const auto label = static_cast<std::size_t>(cache.labels[i]);
    const Expected expected = softmax_exit(cache, i, 0.8);
    ++samples[expected.exit];
    correct[expected.exit] += expected.label == label ? 1 : 0;
    confidence[expected.exit] += expected.confidence;
    device += kDevice[expected.exit] / 500.0;
    total += kTotal[expected.exit] / 500.0;
    bytes += expected.exit == 2 ? 64.0 / 500.0 : 0.0;
    bool last_right = false;
    for (std::size_t exit = 0; exit < 3; ++exit) {
      const auto row = cache.logits[exit].data().subspan(i * 4, 4);
      bool right = true;
      for (std::size_t k = 0; k < 4; ++k) right &= k == label || row[k] < row[label];
      all[exit] += right ? 1 : 0;
      last_right = right;
    }
    excess += last_right && expected.label != label ? 1 : 0;
  }
  ASSERT_EQ(result.exits.size(), 3U);
  for (std::size_t exit = 0; exit < 3; ++exit) {
    ASSERT_GT(samples[exit], 20);
    const ExitFigures& figures = result.exits[exit];
    EXPECT_EQ(figures.samples(), samples[exit]);
    EXPECT_EQ(figures.correct, correct[exit]);
    EXPECT_EQ(figures.correct_all, all[exit]);
    EXPECT_NEAR(figures.confidence.mean(), confidence[exit] / static_cast<double>(samples[exit]),
                1e-6);
    EXPECT_EQ(figures.device_operations, kDevice[exit]);
    EXPECT_EQ(figures.total_operations, kTotal[exit]);
  }
  EXPECT_EQ(result.correct, correct[0] + correct[1] + correct[2]);
  EXPECT_EQ(result.excess_errors, excess);
  EXPECT_EQ(result.on_device, samples[0] + samples[1]);
  EXPECT_NEAR(result.device_operations, device, 1e-9);
  EXPECT_NEAR(result.total_operations, total, 1e-9);
  EXPECT_NEAR(result.bytes_sent, bytes, 1e-9);
  // Excess errors bound the accuracy lost from above.
  EXPECT_LE(result.accuracy_lost(), result.share(result.excess_errors) + 1e-12);
}

TEST(PolicyReport, ExitsThatNobodyTakesHaveNoAccuracy) {
  const PolicyReport result = report(test::random_cache(1, 50), "fixed:2");
  EXPECT_EQ(result.exits[1].samples(), 50);
  EXPECT_EQ(result.exits[1].acc_exited(), result.accuracy());
  for (const std::size_t exit : {0U, 2U}) {
    EXPECT_EQ(result.exits[exit].samples(), 0);
    EXPECT_TRUE(std::isnan(result.exits[exit].acc_exited()));
    EXPECT_TRUE(std::isnan(result.exits[exit].confidence.mean()));
    EXPECT_TRUE(std::isnan(result.exits[exit].device_operations));
    EXPECT_GT(result.exits[exit].correct_all, 0);
  }
}

TEST(PolicyReport, AnswersOfAnEnsembleAreItsOwn) {
  const LogitsCache cache = test::random_cache(5, 500, 0.3F);
  const PolicyReport result =
      report(cache, "ensemble:1");  // nobody is that sure: all go to the end
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    // The class of the product of the exits' probabilities is that of the sum of their logits.
    double sums[4] = {};
    for (const Tensor& logits : cache.logits)
      for (std::size_t k = 0; k < 4; ++k) sums[k] += static_cast<double>(logits.data()[i * 4 + k]);
    correct += std::max_element(sums, sums + 4) - sums == cache.labels[i] ? 1 : 0;
  }
  EXPECT_EQ(result.exits[2].samples(), 500);
  EXPECT_EQ(result.correct, correct);
  EXPECT_NE(result.correct, result.exits[2].correct_all);
}

TEST(PolicyReport, DroppedSamplesAreCountedApart) {
  const LogitsCache cache = test::random_cache(2, 300);
  const PolicyReport without = report(cache, "entropy:0.3");
  const PolicyReport with = report(cache, "entropy:0.3,drop=0.8");
  EXPECT_EQ(without.dropped, 0);
  ASSERT_GT(with.dropped, 10);
  std::int64_t answered = 0;
  std::int64_t dropped = 0;
  for (const ExitFigures& exit : with.exits) {
    answered += exit.samples();
    dropped += exit.dropped;
  }
  EXPECT_EQ(dropped, with.dropped);
  EXPECT_EQ(answered + dropped, 300);
  EXPECT_DOUBLE_EQ(with.acc_answered(),
                   static_cast<double>(with.correct) / static_cast<double>(answered));
  EXPECT_LT(with.accuracy(), with.acc_answered());       // a dropped sample is not right
  EXPECT_GT(with.excess_errors, without.excess_errors);  // and an error where the network is
}

TEST(PolicyReport, DoesNotDependOnThreads) {
  const LogitsCache cache = test::random_cache(3, 400);
  const StoredExits exits(cache, {});
  std::vector<PolicyPtr> policies;
  for (int percent = 30; percent < 100; ++percent)
    policies.push_back(parse_policy("max-probability:0." + std::to_string(percent), 3));
  set_num_threads(1);
  const auto one = report_policies(exits, policies);
  if (num_available_cpus() < 2) GTEST_SKIP() << "one CPU";
  set_num_threads(2);
  const auto two = report_policies(exits, policies);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].policy, two[i].policy);
    EXPECT_EQ(one[i].correct, two[i].correct);
    EXPECT_EQ(one[i].device_operations, two[i].device_operations);
    EXPECT_EQ(one[i].confidence.mean(), two[i].confidence.mean());
    EXPECT_EQ(one[i].confidence.half_width_95(), two[i].confidence.half_width_95());
  }
  EXPECT_NE(one.front().correct, one.back().correct);
}

}  // namespace
}  // namespace branchy
