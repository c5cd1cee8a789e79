// Grid search, projection and regression on made-up confidences, against brute force.
#include "train/adaptation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "infer/policies/policy_text.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

constexpr double kMbit = 1e6;

/// Confidence grows with depth and goes with being correct; scores are noisy confidences.
ConfidenceTable made_up_table(std::int64_t samples, std::int64_t exits, std::uint64_t seed) {
  Rng rng(seed);
  ConfidenceTable table;
  table.num_exits = exits;
  for (std::int64_t i = 0; i < samples; ++i) {
    const float ease = rng.uniform();
    for (std::int64_t exit = 1; exit <= exits; ++exit) {
      const float depth = static_cast<float>(exit) / static_cast<float>(exits);
      const float confidence = std::min(1.0F, 0.3F + 0.5F * ease + 0.3F * depth * rng.uniform());
      table.confidence.push_back(confidence);
      table.correct.push_back(rng.uniform() < 0.4F + 0.3F * depth + 0.3F * ease ? 1 : 0);
      if (exit < exits)
        table.scores.push_back(std::clamp(2 * confidence - 1 + 0.3F * rng.normal(), 0.0F, 1.0F));
    }
    table.weight.push_back(1);
  }
  return table;
}

LatencyModel made_up_latency(std::int64_t exits) {
  LatencyModel model;
  for (std::int64_t exit = 1; exit <= exits; ++exit) {
    model.parts.trunk.push_back(3.0 + static_cast<double>(exit));
    model.parts.exit.push_back(2.0);
  }
  model.parts.predictor = 0.2;
  model.parts.encoder = 0.3;
  model.sent_bytes = 2048;
  return model;
}

const std::vector<float> kLambdas{0.0F, 0.5F, 0.7F, 0.8F, 0.9F, 1.0F};
const std::vector<float> kGammas{0.0F, 0.25F, 0.5F, 1.0F};

/// Mean latency by following each sample on its own (Algorithm 1 and eq. 11).
struct Followed {
  double accuracy = 0, latency_ms = 0;
};
Followed follow(const ConfidenceTable& table, const LatencyModel& model,
                const ThresholdSetting& setting, double bandwidth) {
  Followed mean;
  const auto exits = static_cast<std::size_t>(table.num_exits);
  for (std::size_t i = 0; i < table.weight.size(); ++i) {
    double ms = setting.gamma.empty() ? 0.0 : model.parts.predictor;
    std::size_t left = exits - 1;
    for (std::size_t exit = 0; exit + 1 < exits; ++exit) {
      ms += model.parts.trunk[exit];
      const bool sure = table.confidence[i * exits + exit] >= setting.lambda[exit];
      bool computes = true;
      if (!setting.gamma.empty())
        computes = table.scores[i * (exits - 1) + exit] >= setting.gamma[exit];
      if (setting.oracle) computes = sure;
      if (!computes) continue;
      ms += model.parts.exit[exit];
      if (sure) {
        left = exit;
        break;
      }
    }
    if (left == exits - 1) ms += model.sending_ms(bandwidth);
    mean.latency_ms += ms;
    mean.accuracy += table.correct[i * exits + left];
  }
  mean.latency_ms /= static_cast<double>(table.weight.size());
  mean.accuracy /= static_cast<double>(table.weight.size());
  return mean;
}

class AdaptationTest : public ::testing::Test {
 protected:
  AdaptationTest() { set_num_threads(1); }  // the networks are tiny

  ConfidenceTable table_ = made_up_table(300, 3, 7);
  LatencyModel model_ = made_up_latency(3);
  GridAxes axes_{.lambdas = kLambdas, .gammas = kGammas};
};

TEST_F(AdaptationTest, EverySettingOfTheGridIsWhatFollowingEachSampleGives) {
  const double bandwidth = 0.3 * kMbit;
  for (const bool oracle : {false, true}) {
    GridAxes axes = axes_;
    axes.oracle = oracle;
    if (oracle) axes.gammas.clear();
    const SettingGrid grid(table_, axes, model_);
    ASSERT_EQ(grid.settings().size(), oracle ? 36U : 576U);
    for (const EvaluatedSetting& setting : grid.settings()) {
      const Followed expected = follow(table_, model_, setting.setting, bandwidth);
      EXPECT_NEAR(setting.accuracy, expected.accuracy, 1e-12) << policy_text(setting.setting);
      EXPECT_NEAR(grid.mean_ms(setting, bandwidth), expected.latency_ms, 1e-9)
          << policy_text(setting.setting);
    }
  }
}

/// Logits whose winner is clearer the deeper the exit.
LogitsCache made_up_logits(std::int64_t samples, std::int64_t exits) {
  Rng rng(11);
  LogitsCache cache;
  cache.scores = Tensor(Shape{samples, exits - 1});
  for (float& score : cache.scores.mutable_data()) score = rng.uniform();
  for (std::int64_t exit = 1; exit <= exits; ++exit) {
    cache.logits.emplace_back(Shape{samples, 3});
    for (float& logit : cache.logits.back().mutable_data())
      logit = static_cast<float>(exit) * rng.normal();
    cache.costs.trunk.push_back(1000 * exit);
    cache.costs.exit.push_back(100 * exit);
  }
  cache.costs.predictor = 10;
  cache.costs.feature_bytes = 50;
  for (std::int64_t i = 0; i < samples; ++i) {
    cache.labels.push_back(rng.below(3));
    cache.indices.push_back(i);
  }
  return cache;
}

TEST(ThresholdSetting, RoutesAreThoseOfThePolicyThatItsTextNames) {
  const LogitsCache cache = made_up_logits(200, 4);
  const std::vector<float> temperatures{1.5F, 0.75F, 1.0F, 2.0F};
  const StoredExits stored(cache, temperatures);
  const ConfidenceTable table = confidence_table(stored, true);
  for (const ThresholdSetting& setting :
       {ThresholdSetting{.lambda = {0.9F, 0.8F, 0.95F}},
        ThresholdSetting{.lambda = {0.9F, 0.8F, 0.95F}, .oracle = true},
        ThresholdSetting{.lambda = {0.7F, 0.55F, 0.6123F}, .gamma = {0.5F, 0.0F, 0.9F}}}) {
    const PolicyPtr policy = parse_policy(policy_text(setting), 4);
    double operations = 0;
    std::int64_t correct = 0, sent = 0;
    for (std::int64_t i = 0; i < 200; ++i) {
      const SampleOutcome one = simulate_sample(stored, i, *policy, cache.costs);
      operations += static_cast<double>(one.device_operations);
      correct += one.answer.label == stored.label(i) ? 1 : 0;
      sent += one.bytes_sent > 0 ? 1 : 0;
    }
    const RouteCounts counts = count_routes(table, setting);
    EXPECT_NEAR(counts.device_operations(cache.costs), operations / 200, 1e-9)
        << policy_text(setting);
    EXPECT_EQ(counts.correct, correct) << policy_text(setting);
    EXPECT_EQ(counts.sent, sent) << policy_text(setting);
    EXPECT_GT(sent, 0);
    EXPECT_LT(sent, 200);
  }
}

TEST_F(AdaptationTest, BestAgreesWithBruteForceAtEveryBandwidth) {
  const SettingGrid grid(table_, axes_, model_);
  const double limit = 12.0;
  int feasible = 0;
  for (const double mbit : {0.01, 0.1, 0.3, 1.0, 3.0, 30.0}) {
    double best_accuracy = -1, fastest = 1e30;
    for (const float l1 : kLambdas)
      for (const float l2 : kLambdas)
        for (const float g1 : kGammas)
          for (const float g2 : kGammas) {
            const Followed one =
                follow(table_, model_, {.lambda = {l1, l2}, .gamma = {g1, g2}}, mbit * kMbit);
            fastest = std::min(fastest, one.latency_ms);
            if (one.latency_ms <= limit) best_accuracy = std::max(best_accuracy, one.accuracy);
          }
    const LatencyChoice choice = grid.best(mbit * kMbit, limit);
    EXPECT_EQ(choice.feasible, best_accuracy >= 0);
    if (choice.feasible) {
      ++feasible;
      EXPECT_NEAR(choice.evaluated.accuracy, best_accuracy, 1e-12) << mbit;
      EXPECT_LE(choice.latency_ms, limit);
    } else {
      EXPECT_NEAR(choice.latency_ms, fastest, 1e-9) << mbit;
    }
  }
  EXPECT_GE(feasible, 3);
  EXPECT_FALSE(grid.best(1 * kMbit, 3.0).feasible) << "less than the first trunk";
}

TEST_F(AdaptationTest, ProjectionKeepsWhatIsFeasibleAndElseTakesTheNearest) {
  const SettingGrid grid(table_, axes_, model_);
  const double bandwidth = 0.3 * kMbit, limit = 20.0;
  Rng rng(3);
  int moved = 0;
  for (int i = 0; i < 40; ++i) {
    const ThresholdSetting raw{.lambda = {rng.uniform(), rng.uniform()},
                               .gamma = {0.5F * rng.uniform(), 0.5F * rng.uniform()}};
    const LatencyChoice choice = grid.project(raw, bandwidth, limit);
    ASSERT_TRUE(choice.feasible);
    EXPECT_LE(choice.latency_ms, limit);
    EXPECT_NEAR(follow(table_, model_, choice.evaluated.setting, bandwidth).latency_ms,
                choice.latency_ms, 1e-9);
    if (follow(table_, model_, raw, bandwidth).latency_ms <= limit) {
      EXPECT_EQ(choice.evaluated.setting, raw);
      continue;
    }
    ++moved;
    const double away = distance(choice.evaluated.setting, raw);
    for (const EvaluatedSetting& other : grid.settings()) {
      if (grid.mean_ms(other, bandwidth) > limit) continue;
      EXPECT_LE(away, distance(other.setting, raw)) << policy_text(other.setting);
    }
  }
  EXPECT_GT(moved, 3);
  EXPECT_LT(moved, 40);
  const LatencyChoice hopeless = grid.project({.lambda = {1, 1}, .gamma = {1, 1}}, bandwidth, 1.0);
  EXPECT_FALSE(hopeless.feasible);
  EXPECT_EQ(hopeless.latency_ms, grid.best(bandwidth, 1.0).latency_ms);
}

TEST_F(AdaptationTest, SharedThresholdsAreTheSameForEveryExit) {
  axes_.shared = true;
  const SettingGrid grid(table_, axes_, model_);
  ASSERT_EQ(grid.settings().size(), kLambdas.size() * kGammas.size());
  for (const EvaluatedSetting& one : grid.settings()) {
    EXPECT_EQ(one.setting.lambda[0], one.setting.lambda[1]);
    EXPECT_EQ(one.setting.gamma[0], one.setting.gamma[1]);
  }
}

TEST_F(AdaptationTest, GridsThatAreEmptyTooLargeOrWithoutScoresAreRefused) {
  test::expect_error<ConfigError>([&] { SettingGrid(table_, {}, model_); }, {"no lambda"});
  const ConfidenceTable five = made_up_table(10, 6, 1);
  test::expect_error<ConfigError>([&] { SettingGrid(five, axes_, made_up_latency(6)); },
                                  {"settings, at most"});
  ConfidenceTable without = table_;
  without.scores.clear();
  test::expect_error<ConfigError>([&] { SettingGrid(without, axes_, model_); },
                                  {"needs predictor scores"});
  test::expect_error<ConfigError>([&] { (void)count_routes(table_, {.lambda = {0.5F}}); },
                                  {"2 early exits"});
  test::expect_error<ConfigError>([&] { SettingGrid(made_up_table(5, 1, 1), axes_, model_); },
                                  {"no early exit"});
}

AdaptOptions published_bandwidths(double limit_ms) {
  AdaptOptions options{.limit_ms = limit_ms, .bandwidths = {}, .regression = {.steps = 300}};
  for (const double mbit : {0.1, 0.3, 0.5, 0.7, 1.0, 3.0, 5.0, 7.0, 10.0, 30.0, 50.0, 70.0, 100.0})
    options.bandwidths.push_back(mbit * kMbit);
  return options;
}

TEST_F(AdaptationTest, EveryMethodKeepsTheLimitAtAndBetweenTheRowsOfItsTable) {
  const SettingGrid grid(table_, axes_, model_);
  const Adaptation adaptation(grid, published_bandwidths(12.0));
  for (const AdaptMethod method : kAdaptMethods) {
    const AdaptTable table = adaptation.table(method);
    EXPECT_GE(table.rows().size(), 3U);
    for (double mbit = 0.1; mbit < 120; mbit *= 1.037) {
      const AdaptRow& row = table.at(mbit * kMbit);
      ASSERT_TRUE(row.feasible) << method_name(method) << " at " << mbit;
      const std::string& text = row.policy;
      ThresholdSetting setting{.lambda = {0, 0}, .gamma = {0, 0}};
      ASSERT_EQ(std::sscanf(text.c_str(), "predictor:%f+%f,gamma=%f+%f", setting.lambda.data(),
                            &setting.lambda[1], setting.gamma.data(), &setting.gamma[1]),
                4)
          << text;
      EXPECT_LE(follow(table_, model_, setting, mbit * kMbit).latency_ms, 12.0 + 1e-9)
          << method_name(method) << " at " << mbit;
    }
  }
}

TEST_F(AdaptationTest, SearchIsNeverLessAccurateThanTheOthersAtGivenBandwidths) {
  const SettingGrid grid(table_, axes_, model_);
  const Adaptation adaptation(grid, published_bandwidths(12.0));
  for (const double bandwidth : adaptation.bandwidths()) {
    const LatencyChoice best = adaptation.choose(AdaptMethod::kSearch, bandwidth);
    const LatencyChoice table = adaptation.choose(AdaptMethod::kInterpolate, bandwidth);
    EXPECT_EQ(table.evaluated.setting, best.evaluated.setting) << "it is a row of the table";
  }
}

TEST_F(AdaptationTest, InfeasibleBandwidthsGetTheFastestSettingAndAreMarked) {
  const SettingGrid grid(table_, axes_, model_);
  const Adaptation adaptation(grid, {.limit_ms = 3.0, .bandwidths = {0.1 * kMbit, 1 * kMbit}});
  const AdaptTable table = adaptation.table(AdaptMethod::kSearch);
  EXPECT_FALSE(table.rows().front().feasible);
  EXPECT_EQ(table.rows().front().policy,
            policy_text(grid.best(0.1 * kMbit, 3.0).evaluated.setting));
}

TEST_F(AdaptationTest, LimitsAndBandwidthsThatAreNoneAreRefused) {
  const SettingGrid grid(table_, axes_, model_);
  for (const double limit : {0.0, -1.0, std::nan("")})
    test::expect_error<ConfigError>(
        [&] { Adaptation(grid, {.limit_ms = limit, .bandwidths = {kMbit}}); }, {"limit"});
  for (const double bandwidth : {0.0, -1.0, std::nan("")})
    test::expect_error<ConfigError>([&] { Adaptation(grid, {.bandwidths = {bandwidth}}); },
                                    {"bandwidth"});
  test::expect_error<ConfigError>([&] { Adaptation(grid, {.bandwidths = {}}); }, {"no bandwidth"});
  test::expect_error<ConfigError>([&] { Adaptation(grid, {.bandwidths = {1e6, 1e6}}); }, {"twice"});
}

TEST(ThresholdRegression, ComesCloseToItsLabelsAndRepeats) {
  set_num_threads(1);
  std::vector<BandwidthLabel> labels;
  for (const double mbit :
       {0.1, 0.3, 0.5, 0.7, 1.0, 3.0, 5.0, 7.0, 10.0, 30.0, 50.0, 70.0, 100.0}) {
    const auto share = static_cast<float>((std::log10(mbit) + 1) / 3);
    labels.push_back({mbit * kMbit,
                      {.lambda = {0.5F + 0.45F * share, 0.4F + 0.5F * share * share},
                       .gamma = {0.8F - 0.5F * share, 0.3F}}});
  }
  const ThresholdRegression first(labels, {}), again(labels, {}), other(labels, {.seed = 2});
  EXPECT_LT(first.root_mean_square_error(), 0.01);
  bool differs = false;
  for (const BandwidthLabel& label : labels) {
    const ThresholdSetting setting = first.at(label.bits_per_second);
    EXPECT_EQ(setting, again.at(label.bits_per_second));
    differs = differs || !(setting == other.at(label.bits_per_second));
    for (std::size_t exit = 0; exit < 2; ++exit) {
      EXPECT_NEAR(setting.lambda[exit], label.setting.lambda[exit], 0.03) << label.bits_per_second;
      EXPECT_NEAR(setting.gamma[exit], label.setting.gamma[exit], 0.03) << label.bits_per_second;
    }
  }
  EXPECT_TRUE(differs) << "the seed plays no part";
  const ThresholdSetting between = first.at(0.2 * kMbit);
  EXPECT_GT(between.lambda[0], first.at(0.1 * kMbit).lambda[0]);
  EXPECT_LT(between.lambda[0], first.at(0.3 * kMbit).lambda[0]);
}

TEST(ThresholdRegression, NeedsTwoBandwidthsOfADecadeAndStaysInIt) {
  const ThresholdSetting setting{.lambda = {0.5F}};
  const std::vector<BandwidthLabel> apart{{0.1e6, setting}, {2e6, setting}};
  test::expect_error<ConfigError>([&] { ThresholdRegression(apart, {}); }, {"factor of 10"});
  const std::vector<BandwidthLabel> near{{1e6, setting}, {10e6, setting}};
  const ThresholdRegression regression(near, {.hidden = 4, .steps = 10});
  EXPECT_NO_THROW((void)regression.at(10e6));
  test::expect_error<ConfigError>([&] { (void)regression.at(11e6); }, {"no network"});
  test::expect_error<ConfigError>([&] { (void)regression.at(0); }, {"bandwidth"});
  test::expect_error<ConfigError>([&] { ThresholdRegression(near, {.hidden = 0}); }, {"hidden"});
  const auto trainable = [](const std::vector<double>& bandwidths) {
    return ThresholdRegression::is_trainable(bandwidths);
  };
  EXPECT_TRUE(trainable({1e6, 10e6}));
  EXPECT_TRUE(trainable({0.1e6, 1e6, 3e6, 10e6, 100e6}));
  EXPECT_FALSE(trainable({1e6}));
  EXPECT_FALSE(trainable({1e6, 20e6}));
  EXPECT_FALSE(trainable({1e6, 2e6, 300e6, 400e6})) << "nothing from 10 to 100";
}

}  // namespace
}  // namespace branchy
