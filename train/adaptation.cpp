#include "train/adaptation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace branchy {

namespace {

/// Interpolated thresholds are rounded so that their text is short and the same number.
constexpr double kRounding = 1e4;

std::vector<float> between(const std::vector<float>& a, const std::vector<float>& b, double share) {
  std::vector<float> mixed(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double value = double{a[i]} + share * (double{b[i]} - double{a[i]});
    mixed[i] = static_cast<float>(std::round(value * kRounding) / kRounding);
  }
  return mixed;
}

std::vector<double> places(const std::vector<double>& bandwidths, int per_decade) {
  std::vector<double> all = bandwidths;
  const double low = std::log10(bandwidths.front()), high = std::log10(bandwidths.back());
  const auto steps = static_cast<int>(std::floor((high - low) * per_decade + 1e-9));
  for (int i = 1; i <= steps; ++i) {
    // Three digits do: these are names of places, not measurements.
    const double exact = std::pow(10.0, low + double(i) / per_decade);
    const double unit = std::pow(10.0, std::floor(std::log10(exact)) - 2);
    all.push_back(std::round(exact / unit) * unit);
  }
  std::sort(all.begin(), all.end());
  const auto same = [](double a, double b) { return b - a < 1e-6 * b; };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  std::erase_if(all, [&](double place) { return place > bandwidths.back() * (1 + 1e-9); });
  return all;
}

}  // namespace

std::string_view method_name(AdaptMethod method) {
  switch (method) {
    case AdaptMethod::kSearch:
      return "search";
    case AdaptMethod::kInterpolate:
      return "interpolate";
    case AdaptMethod::kRegression:
      return "regression";
  }
  throw Error("[adapt] unknown method");
}

AdaptMethod parse_adapt_method(std::string_view name) {
  for (const AdaptMethod method : kAdaptMethods)
    if (method_name(method) == name) return method;
  throw ConfigError(
      fmt::format("[adapt] method '{}', expected search, interpolate or regression", name));
}

Adaptation::Adaptation(const SettingGrid& grid, AdaptOptions options)
    : grid_(grid), options_(std::move(options)) {
  if (!(options_.limit_ms > 0.0 && std::isfinite(options_.limit_ms)))
    throw ConfigError(
        fmt::format("[adapt] limit {} ms, expected a positive, finite number", options_.limit_ms));
  std::vector<double>& bandwidths = options_.bandwidths;
  if (bandwidths.empty()) throw ConfigError("[adapt] no bandwidth, expected one at least");
  for (const double bandwidth : bandwidths) require_bandwidth("adapt", bandwidth);
  std::sort(bandwidths.begin(), bandwidths.end());
  if (std::adjacent_find(bandwidths.begin(), bandwidths.end()) != bandwidths.end())
    throw ConfigError("[adapt] a bandwidth is given twice");
  std::vector<BandwidthLabel> labels;
  for (const double bandwidth : bandwidths) {
    labels_.push_back(grid_.best(bandwidth, options_.limit_ms));
    labels.push_back({bandwidth, labels_.back().evaluated.setting});
  }
  if (ThresholdRegression::is_trainable(bandwidths))
    regression_.emplace(labels, options_.regression);
}

ThresholdSetting Adaptation::raw(AdaptMethod method, double bits_per_second) const {
  require_bandwidth("adapt", bits_per_second);
  const std::vector<double>& bandwidths = options_.bandwidths;
  if (method == AdaptMethod::kSearch)
    return grid_.best(bits_per_second, options_.limit_ms).evaluated.setting;
  if (method == AdaptMethod::kRegression) {
    if (!regression_) throw ConfigError(std::string(kRegressionNeeds));
    return regression_->at(bits_per_second);
  }
  const auto after = std::lower_bound(bandwidths.begin(), bandwidths.end(), bits_per_second);
  const auto index = static_cast<std::size_t>(after - bandwidths.begin());
  if (after == bandwidths.end()) return labels_.back().evaluated.setting;
  if (index == 0 || *after == bits_per_second) return labels_[index].evaluated.setting;
  const double share =
      std::log(bits_per_second / bandwidths[index - 1]) / std::log(*after / bandwidths[index - 1]);
  const ThresholdSetting& low = labels_[index - 1].evaluated.setting;
  const ThresholdSetting& high = labels_[index].evaluated.setting;
  ThresholdSetting setting = low;
  setting.lambda = between(low.lambda, high.lambda, share);
  setting.gamma = between(low.gamma, high.gamma, share);
  return setting;
}

LatencyChoice Adaptation::choose(AdaptMethod method, double bits_per_second) const {
  return grid_.project(raw(method, bits_per_second), bits_per_second, options_.limit_ms);
}

AdaptTable Adaptation::table(AdaptMethod method, int per_decade) const {
  std::vector<AdaptRow> rows;
  for (const double place : places(options_.bandwidths, per_decade)) {
    const LatencyChoice choice = choose(method, place);
    AdaptRow row{.bits_per_second = place,
                 .policy = policy_text(choice.evaluated.setting),
                 .feasible = choice.feasible};
    if (rows.empty() || rows.back().policy != row.policy || rows.back().feasible != row.feasible)
      rows.push_back(std::move(row));
  }
  return {std::move(rows), options_.limit_ms};
}

}  // namespace branchy
