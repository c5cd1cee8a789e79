#include "train/risk_control.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "core/safetensors.h"
#include "tests/support/expect_error.h"
#include "train/binomial_bound.h"

namespace branchy {
namespace {

std::vector<std::int64_t> one_sequence(const std::vector<RiskCandidate>& candidates) {
  return {std::ssize(candidates)};
}

TEST(RiskControl, StopsAtTheFirstSettingThatFails) {
  // P(Binomial(1000, 0.02) <= 12) = 0.038, <= 13) = 0.064: 12 errors pass at 0.05, 13 do not.
  const std::vector<RiskCandidate> candidates{{0, 9.0}, {12, 7.0}, {13, 6.0}, {1, 5.0}};
  const auto choice =
      control_risk(candidates, one_sequence(candidates), 1000, {.epsilon = 0.02, .delta = 0.05});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->index, 1);  // the last passes, but behind one that failed
  EXPECT_EQ(choice->num_accepted, 2);
  EXPECT_NEAR(choice->bound, clopper_pearson_upper(12, 1000, 0.05), 1e-15);
  EXPECT_LE(choice->bound, 0.02);
}

TEST(RiskControl, SharesDeltaAmongSequences) {
  const std::vector<RiskCandidate> candidates{{0, 9.0}, {12, 7.0}, {0, 8.0}, {1, 7.5}};
  const auto choice = control_risk(candidates, std::vector<std::int64_t>{2, 2}, 1000,
                                   {.epsilon = 0.02, .delta = 0.05});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->index, 3);  // 12 errors do not pass at 0.025
  EXPECT_EQ(choice->num_accepted, 3);
}

TEST(RiskControl, TakesTheFirstOfEquallyCheapSettings) {
  const std::vector<RiskCandidate> candidates{{0, 7.0}, {1, 5.0}, {2, 5.0}, {3, 6.0}};
  EXPECT_EQ(
      control_risk(candidates, one_sequence(candidates), 1000, {.epsilon = 0.02, .delta = 0.05})
          ->index,
      1);
}

TEST(RiskControl, PromisesNothingOnTooFewSamples) {
  const std::vector<RiskCandidate> candidates{{0, 7.0}};
  const RiskTarget target{.epsilon = 0.01, .delta = 0.05};
  EXPECT_EQ(samples_needed(target, 1), 299);  // the rule of three: 3 / 0.01
  EXPECT_FALSE(control_risk(candidates, one_sequence(candidates), 298, target));
  EXPECT_TRUE(control_risk(candidates, one_sequence(candidates), 299, target));
}

TEST(RiskControl, RefusesAbsurdTargetsAndCounts) {
  const std::vector<RiskCandidate> one{{0, 1.0}};
  const std::vector<std::int64_t> two{1, 1};
  for (const double epsilon : {0.0, 1.0, -0.1, std::nan("")})
    test::expect_error<ConfigError>(
        [&] { (void)control_risk(one, one_sequence(one), 100, {.epsilon = epsilon}); },
        {"epsilon"});
  for (const double delta : {0.0, 1.0, 2.0, std::nan("")})
    test::expect_error<ConfigError>(
        [&] { (void)control_risk(one, one_sequence(one), 100, {.epsilon = 0.1, .delta = delta}); },
        {"delta"});
  test::expect_error<Error>([&] { (void)control_risk(one, two, 100, {}); }, {"2 sequences"});
  test::expect_error<Error>([&] { (void)control_risk({}, {}, 100, {}); }, {"0 candidates"});
  const std::vector<RiskCandidate> many{{101, 1.0}};
  test::expect_error<Error>([&] { (void)control_risk(many, one_sequence(many), 100, {}); },
                            {"101 errors"});
}

/// The promise on stored logits of a trained network (see tests/train/stored_exits/README.md).
class StoredSettings {
 public:
  static constexpr double kEpsilon = 0.01, kDelta = 0.1;
  static constexpr int kSplits = 100;

  StoredSettings() {
    const SafetensorsFile file(BRANCHY_STORED_EXITS);
    const Tensor first = file.tensor("confidence.1");
    const Tensor second = file.tensor("confidence.2");
    const Tensor right = file.tensor("right");
    for (int percent = 99; percent >= 50; --percent) {
      const float threshold = static_cast<float>(percent) / 100.0F;
      Setting& setting = settings_.emplace_back();
      for (std::size_t i = 0; i < right.data().size(); ++i) {
        const int exit = first.data()[i] >= threshold ? 0 : second.data()[i] >= threshold ? 1 : 2;
        const int bits = static_cast<int>(right.data()[i]);
        setting.excess.push_back((bits >> 2 & 1) != 0 && (bits >> exit & 1) == 0 ? 1 : 0);
        setting.cost.push_back(exit == 0 ? 8.0F : 43.0F);  // about the operations on the device, M
        setting.risk += setting.excess.back();
      }
      setting.risk /= static_cast<double>(num_samples());
    }
  }

  [[nodiscard]] std::int64_t num_samples() const { return std::ssize(settings_.front().excess); }
  [[nodiscard]] double risk(std::int64_t setting) const {
    return settings_[static_cast<std::size_t>(setting)].risk;
  }

  [[nodiscard]] std::vector<RiskCandidate> candidates(
      const std::vector<std::int64_t>& samples) const {
    std::vector<RiskCandidate> result;
    for (const Setting& setting : settings_) {
      RiskCandidate& candidate = result.emplace_back();
      for (const std::int64_t sample : samples) {
        candidate.excess_errors += setting.excess[static_cast<std::size_t>(sample)];
        candidate.cost += static_cast<double>(setting.cost[static_cast<std::size_t>(sample)]) /
                          static_cast<double>(samples.size());
      }
    }
    return result;
  }

  /// The most splits of kSplits that may break the promise if each does with probability kDelta:
  /// more would happen once in a thousand runs.
  [[nodiscard]] static std::int64_t most_broken() {
    std::int64_t most = 0;
    while (binomial_cdf(most, kSplits, kDelta) < 0.999) ++most;
    return most;
  }

 private:
  struct Setting {
    std::vector<std::uint8_t> excess;
    std::vector<float> cost;
    double risk = 0.0;  // of all samples, the truth for those drawn from them
  };
  std::vector<Setting> settings_;
};

TEST(RiskControl, PromiseHoldsOverResampledSplits) {
  const StoredSettings stored;
  ASSERT_EQ(stored.num_samples(), 15000);
  std::int64_t broken = 0;
  std::int64_t broken_naively = 0;
  double cost = 0.0;
  for (std::uint64_t split = 0; split < StoredSettings::kSplits; ++split) {
    // Drawn with replacement, as the bound has it: independent samples of the population.
    Rng rng({1, split});
    std::vector<std::int64_t> samples(2000);
    for (std::int64_t& sample : samples) sample = rng.below(stored.num_samples());
    const auto candidates = stored.candidates(samples);
    const auto choice = control_risk(candidates, one_sequence(candidates), std::ssize(samples),
                                     {StoredSettings::kEpsilon, StoredSettings::kDelta});
    ASSERT_TRUE(choice);
    broken += stored.risk(choice->index) > StoredSettings::kEpsilon ? 1 : 0;
    cost += candidates[static_cast<std::size_t>(choice->index)].cost / StoredSettings::kSplits;
    // Without the bound: the least safe threshold that keeps epsilon on the samples.
    std::int64_t naive = 0;
    while (candidates[static_cast<std::size_t>(naive + 1)].excess_errors <=
           static_cast<std::int64_t>(StoredSettings::kEpsilon * 2000))
      ++naive;
    broken_naively += stored.risk(naive) > StoredSettings::kEpsilon ? 1 : 0;
  }
  RecordProperty("broken", std::to_string(broken));
  RecordProperty("broken_naively", std::to_string(broken_naively));
  RecordProperty("cost", std::to_string(cost));
  EXPECT_LE(broken, StoredSettings::most_broken());
  EXPECT_GT(broken_naively, StoredSettings::most_broken());  // so the test can fail
  EXPECT_LT(cost, 32.0);                                     // and the promise is not an empty one
}

TEST(RiskControl, PromiseHoldsOnHalvesOfTheSamples) {
  const StoredSettings stored;
  std::int64_t broken = 0;
  for (std::uint64_t split = 0; split < StoredSettings::kSplits; ++split) {
    auto samples = Rng({2, split}).permutation(stored.num_samples());
    samples.resize(samples.size() / 2);
    const auto candidates = stored.candidates(samples);
    const auto choice = control_risk(candidates, one_sequence(candidates), std::ssize(samples),
                                     {StoredSettings::kEpsilon, StoredSettings::kDelta});
    ASSERT_TRUE(choice);
    broken += stored.risk(choice->index) > StoredSettings::kEpsilon ? 1 : 0;
  }
  EXPECT_LE(broken, StoredSettings::most_broken());
}

}  // namespace
}  // namespace branchy
