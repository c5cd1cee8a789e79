#include "train/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/rng.h"
#include "infer/batch_prediction.h"
#include "infer/policies/prediction.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;

constexpr std::int64_t kClasses = 4;

/// Two exits of different knowledge that are surer than they may be; the second knows more.
LogitsCache overconfident(std::int64_t samples) {
  Rng rng(3);
  LogitsCache cache;
  std::vector<float> first;
  std::vector<float> second;
  for (std::int64_t i = 0; i < samples; ++i) {
    const std::int64_t label = rng.below(kClasses);
    cache.labels.push_back(label);
    cache.indices.push_back(i);
    for (std::int64_t k = 0; k < kClasses; ++k) {
      first.push_back(3.0F * (rng.normal() + (k == label ? 0.7F : 0.0F)));
      second.push_back(3.5F * (rng.normal() + (k == label ? 2.0F : 0.0F)));
    }
  }
  cache.logits = {Tensor::from(Shape{samples, kClasses}, first),
                  Tensor::from(Shape{samples, kClasses}, second)};
  cache.part = "val";
  cache.data_checksum = "abc";
  return cache;
}

TEST(Calibration, AllFitsEachExitOnAllSamples) {
  const LogitsCache cache = overconfident(500);
  const Calibration calibration = calibrate(cache, {});
  ASSERT_EQ(calibration.fits.size(), 2U);
  for (std::size_t exit = 0; exit < 2; ++exit) {
    EXPECT_EQ(calibration.fits[exit].temperature,
              fit_temperature(cache.logits[exit], cache.labels).temperature);
    EXPECT_GT(calibration.fits[exit].temperature, 1.05);
  }
  EXPECT_NE(calibration.fits[0].temperature, calibration.fits[1].temperature);
}

TEST(Calibration, AsPublishedFitsOnTheSamplesThatEndThere) {
  const LogitsCache cache = overconfident(500);
  const float p_tar = 0.8F;
  const auto predictions = predict_all(1, cache.logits[0]);
  std::vector<float> rows[2];
  std::vector<std::int64_t> labels[2];
  for (std::size_t i = 0; i < cache.labels.size(); ++i) {
    const std::size_t exit = predictions[i].confidence >= p_tar ? 0 : 1;
    const auto row = cache.logits[exit].data().subspan(i * kClasses, kClasses);
    rows[exit].insert(rows[exit].end(), row.begin(), row.end());
    labels[exit].push_back(cache.labels[i]);
  }
  const Calibration calibration =
      calibrate(cache, {.mode = CalibrationMode::kAsPublished, .p_tar = 0.8});
  for (std::size_t exit = 0; exit < 2; ++exit) {
    const Tensor logits = Tensor::from(Shape{std::ssize(labels[exit]), kClasses}, rows[exit]);
    EXPECT_EQ(calibration.fits[exit].samples, std::ssize(labels[exit]));
    EXPECT_EQ(calibration.fits[exit].temperature,
              fit_temperature(logits, labels[exit]).temperature);
  }
}

TEST(Calibration, AnExitWhereNoSampleEndsKeepsOne) {
  LogitsCache cache = overconfident(200);
  cache.logits[0] = Tensor::zeros({200, kClasses});  // confidence 1/4
  const Calibration calibration =
      calibrate(cache, {.mode = CalibrationMode::kAsPublished, .p_tar = 0.5});
  EXPECT_EQ(calibration.fits[0].status, TemperatureFitStatus::kTooFewSamples);
  EXPECT_EQ(calibration.temperatures()[0], 1.0F);
  EXPECT_EQ(calibration.fits[1].samples, 200);
  EXPECT_EQ(calibration.fits[1].status, TemperatureFitStatus::kFitted);
}

TEST(Calibration, OneFitsAllSamplesOfAllExits) {
  const LogitsCache cache = overconfident(300);
  const Calibration calibration = calibrate(cache, {.mode = CalibrationMode::kOne});
  EXPECT_EQ(calibration.fits[0].samples, 600);
  EXPECT_EQ(calibration.fits[0].temperature, calibration.fits[1].temperature);
  const Calibration each = calibrate(cache, {});
  const auto [low, high] = std::minmax({each.fits[0].temperature, each.fits[1].temperature});
  EXPECT_GT(calibration.fits[0].temperature, low);
  EXPECT_LT(calibration.fits[0].temperature, high);
}

TEST(Calibration, LowersErrorsAndChangesNoAccuracy) {
  const LogitsCache cache = overconfident(2000);
  const Calibration calibration = calibrate(cache, {});
  const CalibrationEffect effect = calibration_effect(cache, calibration.temperatures());
  for (std::size_t exit = 0; exit < 2; ++exit) {
    EXPECT_LT(effect.after[exit].nll, effect.before[exit].nll);
    EXPECT_LT(effect.after[exit].ece, effect.before[exit].ece);
    EXPECT_EQ(effect.after[exit].accuracy, effect.before[exit].accuracy);
    EXPECT_EQ(effect.before[exit].temperature, 1.0);
  }
  EXPECT_DOUBLE_EQ(effect.mean_ece_before(), (effect.before[0].ece + effect.before[1].ece) / 2);
  EXPECT_LT(effect.mean_ece_after(), effect.mean_ece_before());
}

TEST(Calibration, ReplacesItsRecordsAndNoOthers) {
  const LogitsCache cache = overconfident(200);
  ModelInfo info;
  info.records = {{"calibration.p_tar", "0.8"}, {"policy.text", "entropy:0.3"}};
  store_calibration(info, calibrate(cache, {}), cache);
  EXPECT_EQ(info.records, (std::map<std::string, std::string>{{"calibration.mode", "all"},
                                                              {"calibration.samples", "200,200"},
                                                              {"calibration.select_on", "val"},
                                                              {"calibration.data_checksum", "abc"},
                                                              {"policy.text", "entropy:0.3"}}));
  EXPECT_EQ(info.temperatures, calibrate(cache, {}).temperatures());
  store_calibration(info, calibrate(cache, {.mode = CalibrationMode::kAsPublished, .p_tar = 0.7}),
                    cache);
  EXPECT_EQ(info.records.at("calibration.p_tar"), "0.7");
}

TEST(Calibration, RefusesDataWithoutAnyTemperature) {
  const auto refuses = [](std::vector<float> logits, std::vector<std::int64_t> labels,
                          std::initializer_list<std::string> texts) {
    LogitsCache cache;
    cache.logits = {Tensor::from(Shape{std::ssize(labels), 2}, logits)};
    cache.labels = std::move(labels);
    cache.indices.resize(cache.labels.size());
    expect_error<DataError>([&] { (void)calibrate(cache, {}); }, texts);
  };
  refuses({}, {}, {"0 samples", "exit 1: fewer than 2"});
  refuses({1, 2}, {1}, {"1 samples", "fewer than 2"});
  refuses({1, 2, 1, 2}, {1, 1}, {"one class"});
  refuses({2, 1, 1, 2}, {0, 1}, {"down to 0.01"});
  refuses({2, 1, 1, 2}, {1, 0}, {"up to 100"});
}

TEST(Calibration, RefusesOptionsThatContradict) {
  const LogitsCache cache = overconfident(50);
  for (const double p_tar : {0.0, -1.0, 1.5, std::numeric_limits<double>::quiet_NaN()})
    expect_error<ConfigError>(
        [&] { (void)calibrate(cache, {.mode = CalibrationMode::kAsPublished, .p_tar = p_tar}); },
        {"--p-tar"});
  expect_error<ConfigError>([&] { (void)calibrate(cache, {.p_tar = 0.8}); }, {"not with all"});
  expect_error<ConfigError>([] { (void)parse_calibration_mode("some"); }, {"some", "as-published"});
  for (const char* name : {"all", "as-published", "one"})
    EXPECT_EQ(mode_name(parse_calibration_mode(name)), name);
}

}  // namespace
}  // namespace branchy
