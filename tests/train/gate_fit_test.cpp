#include "train/gate_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "infer/policies/policy_text.h"
#include "tests/support/expect_error.h"
#include "tests/train/random_cache.h"
#include "train/policy_report.h"

namespace branchy {
namespace {

PolicySamples samples_of(LogitsCache cache) {
  return {.path = "cache", .digest = "abc", .subset = {}, .cache = std::move(cache)};
}

TEST(GateFit, LearnsHowOftenAnExitIsRight) {
  const PolicySamples samples = samples_of(test::random_cache(6, 3000));
  PolicyRecords records;
  const GateFit fit = fit_gate(samples, {}, {}, records);
  ASSERT_EQ(fit.weights.size(), 2U);
  EXPECT_EQ(records.at("policy.gate.1"), fit.weights[0]);
  const StoredExits exits(samples.cache, {});
  // Samples that leave exit 1 at a gate of p are right more often than p, those of a narrow band
  // about as often as the gate says.
  const auto at = [&](const char* text) {
    const std::vector<PolicyPtr> policies{parse_policy(text, 3, records)};
    return report_policies(exits, policies).front().exits.front();
  };
  const ExitFigures low = at("gate:0.6");
  const ExitFigures high = at("gate:0.8");
  EXPECT_GT(low.samples(), high.samples());
  EXPECT_GT(high.acc_exited(), 0.8);
  const auto band = static_cast<double>(low.samples() - high.samples());
  ASSERT_GT(band, 200.0);
  EXPECT_NEAR(static_cast<double>(low.correct - high.correct) / band, 0.7, 0.08);
}

TEST(GateFit, CostTargetWeighsWhatFollows) {
  const PolicySamples samples = samples_of(test::random_cache(6, 500));
  PolicyRecords records;
  const auto yes = [&](double weight) {
    return fit_gate(samples, {}, {.target = "cost", .cost_weight = weight}, records).yes;
  };
  // Without a weight leaving exit 2 is right when its cross-entropy is not above that of exit 3.
  std::int64_t expected = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    const auto label = static_cast<std::size_t>(samples.cache.labels[i]);
    const auto cross_entropy = [&](std::size_t exit) {
      const auto row = samples.cache.logits[exit].data().subspan(i * 4, 4);
      double sum = 0.0;
      for (const float logit : row) sum += std::exp(static_cast<double>(logit));
      return std::log(sum) - static_cast<double>(row[label]);
    };
    expected += cross_entropy(1) <= cross_entropy(2) ? 1 : 0;
  }
  const auto without = yes(0.0);
  EXPECT_EQ(without[1], expected);
  const auto with = yes(1.0);
  EXPECT_GT(with[0], without[0]);
  EXPECT_GT(with[1], without[1]);
}

TEST(GateFit, RefusesWhatCannotBeLearned) {
  PolicyRecords records;
  LogitsCache right = test::random_cache(1, 50);
  for (std::int64_t i = 0; i < 50; ++i)
    right.logits[0].mutable_data()[static_cast<std::size_t>(
        4 * i + right.labels[static_cast<std::size_t>(i)])] = 100.0F;
  const PolicySamples samples = samples_of(right);
  test::expect_error<DataError>([&] { (void)fit_gate(samples, {}, {}, records); },
                                {"exit 1", "50 of 50"});
  const PolicySamples some = samples_of(test::random_cache(1, 50));
  for (const double ridge : {0.0, -1.0, std::nan("")})
    test::expect_error<ConfigError>([&] { (void)fit_gate(some, {}, {.ridge = ridge}, records); },
                                    {"--gate-ridge"});
  test::expect_error<ConfigError>(
      [&] { (void)fit_gate(some, {}, {.target = "cost", .cost_weight = -1.0}, records); },
      {"--gate-cost-weight"});
  test::expect_error<ConfigError>([&] { (void)fit_gate(some, {}, {.target = "luck"}, records); },
                                  {"luck"});
  EXPECT_TRUE(records.empty());
}

TEST(GateFit, ProvesNothingOnItsOwnSamples) {
  PolicySamples samples = samples_of(test::random_cache(2, 200));
  samples.subset = {.index = 1, .step = 2};
  PolicyRecords records;
  (void)fit_gate(samples, {}, {}, records);
  test::expect_error<ConfigError>([&] { require_unseen_by_gate(samples, records); }, {"1/2"});
  samples.subset = {};
  test::expect_error<ConfigError>([&] { require_unseen_by_gate(samples, records); }, {"1/2"});
  samples.subset = {.index = 2, .step = 2};
  EXPECT_NO_THROW(require_unseen_by_gate(samples, records));
  samples.subset = {};
  samples.digest = "other logits";
  EXPECT_NO_THROW(require_unseen_by_gate(samples, records));
}

}  // namespace
}  // namespace branchy
