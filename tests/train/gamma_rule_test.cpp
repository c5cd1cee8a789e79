#include "train/gamma_rule.h"

#include <gtest/gtest.h>

#include <tuple>

#include "core/rng.h"

namespace branchy {
namespace {

PredictedExits random_exits(std::int64_t samples, std::int64_t early, std::uint64_t seed) {
  Rng rng(seed);
  PredictedExits exits{.scores = Tensor(Shape{samples, early}),
                       .confidences = Tensor(Shape{samples, early}),
                       .thresholds = {},
                       .costs = {}};
  const auto scores = exits.scores.mutable_data();
  const auto confidences = exits.confidences.mutable_data();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    confidences[i] = rng.uniform();
    scores[i] = 0.5F * confidences[i] + 0.5F * rng.uniform();
  }
  for (std::int64_t exit = 0; exit <= early; ++exit) {
    if (exit < early) exits.thresholds.push_back(rng.uniform(0.5F, 0.8F));
    exits.costs.trunk.push_back(100 + rng.below(400));
    exits.costs.exit.push_back(100 + rng.below(400));
  }
  exits.costs.predictor = 13;
  return exits;
}

/// Eq. 4 as printed, sample by sample; share at the last exit and mean operations.
std::pair<double, double> by_hand(const PredictedExits& x, const std::vector<float>& gamma,
                                  bool predicts) {
  const std::int64_t samples = x.scores.dim(0);
  const auto early = static_cast<std::size_t>(x.scores.dim(1));
  std::int64_t last = 0;
  std::int64_t operations = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(samples); ++i) {
    std::int64_t goes_on = 1;
    operations += predicts ? x.costs.predictor : 0;
    for (std::size_t n = 0; n < early; ++n) {
      const std::int64_t computed = x.scores.data()[i * early + n] >= gamma[n] ? 1 : 0;
      const std::int64_t sure = x.confidences.data()[i * early + n] >= x.thresholds[n] ? 1 : 0;
      operations += goes_on * (x.costs.trunk[n] + computed * x.costs.exit[n]);
      goes_on *= 1 - computed * sure;
    }
    last += goes_on;
  }
  const auto count = static_cast<double>(samples);
  return {static_cast<double>(last) / count, static_cast<double>(operations) / count};
}

TEST(GammaRule, OutcomesAreEquationsThreeAndFour) {
  for (const std::int64_t early : {1, 2, 3}) {
    const PredictedExits x = random_exits(200, early, 3);
    const std::vector<float> none(static_cast<std::size_t>(early), 0.0F);
    const std::vector<float> some{0.3F, 0.85F, 0.5F};
    const std::vector<float> gamma(some.begin(), some.begin() + early);
    const auto plain = outcome_without_predictor(x);
    EXPECT_DOUBLE_EQ(plain.last_share, by_hand(x, none, false).first);
    EXPECT_DOUBLE_EQ(plain.device_operations, by_hand(x, none, false).second);
    const auto with = outcome_with_predictor(x, gamma);
    EXPECT_DOUBLE_EQ(with.last_share, by_hand(x, gamma, true).first);
    EXPECT_DOUBLE_EQ(with.device_operations, by_hand(x, gamma, true).second);
    EXPECT_NEAR(outcome_with_predictor(x, none).device_operations, plain.device_operations + 13,
                1e-9);
  }
}

TEST(GammaRule, TheChoiceIsThatOfBruteForce) {
  const std::vector<float> grid = gamma_grid();
  ASSERT_EQ(grid.size(), 21U);
  for (const std::int64_t early : {1, 2, 3}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const PredictedExits x = random_exits(60, early, seed);
      const double least = by_hand(x, {0, 0, 0}, false).first;
      std::tuple<double, double, std::vector<float>> best{1e18, 0.0, {}};
      std::vector<float> gamma(static_cast<std::size_t>(early));
      std::int64_t combinations = 1;
      for (std::int64_t i = 0; i < early; ++i) combinations *= 21;
      for (std::int64_t i = 0; i < combinations; ++i) {
        std::int64_t rest = i;
        for (auto value = gamma.rbegin(); value != gamma.rend(); ++value, rest /= 21)
          *value = grid[static_cast<std::size_t>(rest % 21)];
        const auto [last, operations] = by_hand(x, gamma, true);
        if (60.0 * (last - least) < 0.1 * 60.0 - 1e-9)
          best = std::min(best, std::tuple{operations, last, gamma});
      }
      const GammaChoice choice = choose_gamma(x, 0.1);
      EXPECT_EQ(choice.gamma, std::get<2>(best)) << early << " exits, seed " << seed;
      EXPECT_DOUBLE_EQ(choice.with.device_operations, std::get<0>(best));
      EXPECT_DOUBLE_EQ(choice.without.last_share, least);
    }
  }
}

// 100 samples that all leave at the exit; skipping it for two of them is a growth of exactly two
// points, which the rule does not allow.
TEST(GammaRule, AGrowthOfExactlyTwoPointsIsTooMuch) {
  PredictedExits x{.scores = Tensor::full(Shape{100, 1}, 0.9F),
                   .confidences = Tensor::full(Shape{100, 1}, 1.0F),
                   .thresholds = {0.9F},
                   .costs = {.trunk = {10, 10}, .exit = {1000, 10}, .predictor = 1}};
  const auto scores = x.scores.mutable_data();
  scores[0] = 0.22F;
  EXPECT_EQ(choose_gamma(x).gamma, (std::vector<float>{0.25F}));
  scores[1] = 0.31F;
  EXPECT_EQ(choose_gamma(x).gamma, (std::vector<float>{0.25F})) << "0.35 sends two on";
  EXPECT_EQ(choose_gamma(x, 0.021).gamma, (std::vector<float>{0.35F}));
}

TEST(GammaRule, ManyExitsAreImprovedOneByOne) {
  const PredictedExits x = random_exits(150, 7, 5);
  const GammaChoice choice = choose_gamma(x, 0.05);
  const double most = choice.without.last_share + 0.05;
  EXPECT_LT(choice.with.last_share, most);
  EXPECT_LT(choice.with.device_operations,
            outcome_with_predictor(x, std::vector<float>(7, 0.0F)).device_operations);
  for (std::size_t exit = 0; exit < 7; ++exit) {
    for (const float value : gamma_grid()) {
      std::vector<float> gamma = choice.gamma;
      gamma[exit] = value;
      const DeviceOutcome other = outcome_with_predictor(x, gamma);
      EXPECT_TRUE(other.last_share > most - 1e-9 ||
                  other.device_operations >= choice.with.device_operations);
    }
  }
}

}  // namespace
}  // namespace branchy
