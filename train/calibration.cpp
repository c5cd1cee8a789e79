#include "train/calibration.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "infer/batch_prediction.h"
#include "infer/policies/prediction.h"

namespace branchy {

namespace {

constexpr std::array<std::pair<std::string_view, CalibrationMode>, 3> kModes{
    {{"all", CalibrationMode::kAll},
     {"as-published", CalibrationMode::kAsPublished},
     {"one", CalibrationMode::kOne}}};

/// Samples of one fit.
struct Samples {
  std::vector<float> logits;
  std::vector<std::int64_t> labels;

  void add(const LogitsCache& cache, std::size_t exit, std::size_t sample) {
    const auto classes = static_cast<std::size_t>(cache.num_classes());
    const auto row = cache.logits[exit].data().subspan(sample * classes, classes);
    logits.insert(logits.end(), row.begin(), row.end());
    labels.push_back(cache.labels[sample]);
  }
  [[nodiscard]] TemperatureFit fit(std::int64_t classes) const {
    return fit_temperature(Tensor::from(Shape{std::ssize(labels), classes}, logits), labels);
  }
};

/// Where each sample ends at temperature 1, counted from 0.
std::vector<std::size_t> route(const LogitsCache& cache, double p_tar) {
  const auto last = static_cast<std::size_t>(cache.num_exits() - 1);
  std::vector<std::size_t> exits(cache.labels.size(), last);
  for (std::size_t exit = last; exit-- > 0;) {
    const auto predictions = predict_all(static_cast<std::int64_t>(exit) + 1, cache.logits[exit]);
    for (std::size_t i = 0; i < exits.size(); ++i)
      if (predictions[i].confidence >= static_cast<float>(p_tar)) exits[i] = exit;
  }
  return exits;
}

std::vector<TemperatureFit> fit_exits(const LogitsCache& cache, const CalibrationOptions& options) {
  const auto num_exits = static_cast<std::size_t>(cache.num_exits());
  std::vector<TemperatureFit> fits;
  if (options.mode == CalibrationMode::kAll) {
    for (const Tensor& logits : cache.logits) fits.push_back(fit_temperature(logits, cache.labels));
    return fits;
  }
  if (options.mode == CalibrationMode::kOne) {
    Samples all;
    for (std::size_t exit = 0; exit < num_exits; ++exit)
      for (std::size_t i = 0; i < cache.labels.size(); ++i) all.add(cache, exit, i);
    fits.assign(num_exits, all.fit(cache.num_classes()));
    return fits;
  }
  std::vector<Samples> by_exit(num_exits);
  const auto exits = route(cache, options.p_tar);
  for (std::size_t i = 0; i < exits.size(); ++i) by_exit[exits[i]].add(cache, exits[i], i);
  for (const Samples& samples : by_exit) fits.push_back(samples.fit(cache.num_classes()));
  return fits;
}

double mean_ece(const std::vector<CalibrationMetrics>& exits) {
  double sum = 0.0;
  for (const CalibrationMetrics& exit : exits) sum += exit.ece;
  return sum / static_cast<double>(exits.size());
}

}  // namespace

CalibrationMode parse_calibration_mode(std::string_view text) {
  for (const auto& [name, mode] : kModes)
    if (name == text) return mode;
  throw ConfigError(fmt::format("[calibrate] --mode {}, expected all, as-published or one", text));
}

std::string_view mode_name(CalibrationMode mode) {
  return std::find_if(kModes.begin(), kModes.end(), [&](const auto& m) { return m.second == mode; })
      ->first;
}

std::vector<float> Calibration::temperatures() const {
  std::vector<float> values;
  values.reserve(fits.size());
  for (const TemperatureFit& fit : fits) values.push_back(static_cast<float>(fit.temperature));
  return values;
}

Calibration calibrate(const LogitsCache& cache, const CalibrationOptions& options) {
  if (options.mode == CalibrationMode::kAsPublished) {
    if (!(options.p_tar > 0.0 && options.p_tar <= 1.0))
      throw ConfigError(fmt::format(
          "[calibrate] --p-tar {}, expected the probability that routes samples in mode "
          "as-published, above 0 and up to 1",
          options.p_tar));
  } else if (options.p_tar != 0.0) {
    throw ConfigError(fmt::format("[calibrate] --p-tar goes with --mode as-published, not with {}",
                                  mode_name(options.mode)));
  }
  Calibration result{options, fit_exits(cache, options)};
  std::vector<std::string> reasons;
  for (std::size_t i = 0; i < result.fits.size(); ++i)
    reasons.push_back(fmt::format("exit {}: {}", i + 1, describe(result.fits[i].status)));
  if (std::none_of(result.fits.begin(), result.fits.end(), [](const TemperatureFit& fit) {
        return fit.status == TemperatureFitStatus::kFitted;
      }))
    throw DataError(fmt::format("[calibrate] nothing to store from {} samples; {}",
                                cache.num_samples(), fmt::join(reasons, "; ")));
  return result;
}

void store_calibration(ModelInfo& info, const Calibration& calibration, const LogitsCache& cache) {
  info.temperatures = calibration.temperatures();
  std::erase_if(info.records,
                [](const auto& record) { return record.first.starts_with("calibration."); });
  std::vector<std::int64_t> samples;
  samples.reserve(calibration.fits.size());
  for (const TemperatureFit& fit : calibration.fits) samples.push_back(fit.samples);
  info.records["calibration.mode"] = mode_name(calibration.options.mode);
  if (calibration.options.mode == CalibrationMode::kAsPublished)
    info.records["calibration.p_tar"] = fmt::format("{}", calibration.options.p_tar);
  info.records["calibration.samples"] = fmt::format("{}", fmt::join(samples, ","));
  info.records["calibration.select_on"] = cache.part;
  info.records["calibration.data_checksum"] = cache.data_checksum;
}

double CalibrationEffect::mean_ece_before() const { return mean_ece(before); }
double CalibrationEffect::mean_ece_after() const { return mean_ece(after); }

CalibrationEffect calibration_effect(const LogitsCache& cache,
                                     const std::vector<float>& temperatures) {
  CalibrationEffect effect{.part = cache.part, .data_checksum = cache.data_checksum};
  for (std::size_t exit = 0; exit < cache.logits.size(); ++exit) {
    const Tensor& logits = cache.logits[exit];
    const auto number = static_cast<std::int64_t>(exit) + 1;
    const auto before = predict_all(number, logits);
    const auto after = predict_all(number, logits, temperatures.at(exit));
    for (std::size_t i = 0; i < before.size(); ++i)
      if (before[i].label != after[i].label)
        throw Error(
            fmt::format("[calibrate] temperature {} gives sample {} another class at exit "
                        "{}; nothing was stored",
                        temperatures[exit], cache.indices[i], number));
    effect.before.push_back(calibration_metrics(logits, cache.labels, 1.0));
    effect.after.push_back(
        calibration_metrics(logits, cache.labels, static_cast<double>(temperatures[exit])));
  }
  return effect;
}

}  // namespace branchy
