#include "optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TEST(Schedule, ConstantKeepsTheRateAfterALinearWarmup) {
  const ScheduleParams params{
      .kind = ScheduleKind::kConstant, .rate = 0.4, .warmup_steps = 4, .drops = {}};
  EXPECT_DOUBLE_EQ(learning_rate(params, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(params, 1), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(params, 3), 0.4);
  EXPECT_DOUBLE_EQ(learning_rate(params, 1000000), 0.4);
}

// Dong et al.: cosine from 0.1 at epoch 0 to 1e-4 at epoch 200, then 1e-4 until epoch 220.
TEST(Schedule, CosineOfThePaperHasItsThreeAnchors) {
  constexpr std::int64_t kStepsPerEpoch = 352;
  const ScheduleParams params{.kind = ScheduleKind::kCosine,
                              .rate = 0.1,
                              .end_rate = 1e-4,
                              .decay_steps = 200 * kStepsPerEpoch,
                              .drops = {}};
  EXPECT_DOUBLE_EQ(learning_rate(params, 0), 0.1);
  EXPECT_NEAR(learning_rate(params, 100 * kStepsPerEpoch), 0.5 * (0.1 + 1e-4), 1e-12);
  EXPECT_NEAR(learning_rate(params, 200 * kStepsPerEpoch), 1e-4, 1e-12);
  EXPECT_NEAR(learning_rate(params, 220 * kStepsPerEpoch - 1), 1e-4, 1e-12);
}

TEST(Schedule, OneCycleRisesToThePeakAndFallsToTheEnd) {
  const ScheduleParams params{.kind = ScheduleKind::kOneCycle,
                              .rate = 1.0,
                              .end_rate = 0.25,
                              .decay_steps = 30,
                              .warmup_steps = 10,
                              .drops = {}};
  EXPECT_DOUBLE_EQ(learning_rate(params, 0), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate(params, 9), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(params, 10), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(params, 20), 0.625);
  EXPECT_DOUBLE_EQ(learning_rate(params, 30), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(params, 99), 0.25);
}

TEST(Schedule, StepMultipliesAtEachDrop) {
  const ScheduleParams params{
      .kind = ScheduleKind::kStep, .rate = 1.0, .drops = {10, 20}, .factor = 0.5};
  EXPECT_DOUBLE_EQ(learning_rate(params, 9), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(params, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(params, 20), 0.25);
}

// CosineAnnealingLR(T_max=10) of PyTorch stepped once an epoch and never restarted, as Pacheco et
// al. use it: 0 at epoch 10, the full rate again at epoch 20.
TEST(Schedule, CosineSwingRisesAgainAndHoldsTheRateForAnEpoch) {
  constexpr std::int64_t kStepsPerEpoch = 7;
  const ScheduleParams params{.kind = ScheduleKind::kCosineSwing,
                              .rate = 5e-3,
                              .decay_steps = 10 * kStepsPerEpoch,
                              .drops = {},
                              .hold_steps = kStepsPerEpoch};
  const auto at_epoch = [&](std::int64_t epoch) {
    return learning_rate(params, epoch * kStepsPerEpoch);
  };
  EXPECT_DOUBLE_EQ(at_epoch(0), 5e-3);
  EXPECT_NEAR(at_epoch(1), 5e-3 * 0.97552825814757682, 1e-15);
  EXPECT_NEAR(at_epoch(5), 2.5e-3, 1e-15);
  EXPECT_NEAR(at_epoch(10), 0.0, 1e-15);
  EXPECT_NEAR(at_epoch(15), 2.5e-3, 1e-15);
  EXPECT_NEAR(at_epoch(20), 5e-3, 1e-15);
  EXPECT_NEAR(at_epoch(30), 0.0, 1e-15);
  EXPECT_DOUBLE_EQ(learning_rate(params, kStepsPerEpoch - 1), at_epoch(0));
  EXPECT_DOUBLE_EQ(learning_rate(params, 2 * kStepsPerEpoch - 1), at_epoch(1));
}

TEST(Schedule, NamesRoundTripAndUnknownOnesListTheKnown) {
  for (const char* name : {"constant", "cosine", "cosine-swing", "one-cycle", "step"})
    EXPECT_EQ(to_string(parse_schedule(name)), name);
  test::expect_error<ConfigError>([] { static_cast<void>(parse_schedule("linear")); },
                                  {"linear", "one-cycle"});
}

TEST(Schedule, RejectsAbsurdRates) {
  for (const double rate : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    const ScheduleParams params{.rate = rate, .drops = {}};
    test::expect_error<ConfigError>([&] { params.validate(); }, {"rate"});
  }
  const ScheduleParams params{.rate = 0.1, .end_rate = 0.2, .drops = {}};
  test::expect_error<ConfigError>([&] { params.validate(); }, {"end rate"});
}

}  // namespace
}  // namespace branchy
