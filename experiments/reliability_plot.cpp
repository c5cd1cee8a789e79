#include "experiments/reliability_plot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

using nlohmann::json;

/// 95 % interval of a share from n samples: E. B. Wilson, "Probable inference, the law of
/// succession, and statistical inference", 1927.
std::pair<double, double> wilson(double share, double n) {
  constexpr double kZ = 1.959964;  // of a normal distribution, two-sided 95 %
  const double scale = 1.0 + kZ * kZ / n;
  const double middle = (share + kZ * kZ / (2.0 * n)) / scale;
  const double half = kZ * std::sqrt(share * (1.0 - share) / n + kZ * kZ / (4.0 * n * n)) / scale;
  return {middle - half, middle + half};
}

PlotSeries accuracy_series(const json& metrics, const std::string& label,
                           const std::string& color) {
  PlotSeries series{.label = label, .style = SeriesStyle::kPoints, .color = color};
  for (const json& bin : metrics.at("bins")) {
    const auto samples = bin.at("samples").get<double>();
    if (samples == 0.0) continue;
    const auto accuracy = bin.at("accuracy").get<double>();
    const auto [low, high] = wilson(accuracy, samples);
    series.points.push_back(
        {100.0 * bin.at("confidence").get<double>(), 100.0 * accuracy, 100.0 * low, 100.0 * high});
  }
  return series;
}

PlotSeries share_series(const json& metrics, double total) {
  PlotSeries series{.label = "share of samples", .style = SeriesStyle::kBars, .color = "#b8b8b8"};
  for (const json& bin : metrics.at("bins")) {
    const auto low = bin.at("low").get<double>();
    const auto high = bin.at("high").get<double>();
    series.bar_width = 100.0 * (high - low);
    series.points.push_back({50.0 * (low + high), 100.0 * bin.at("samples").get<double>() / total});
  }
  return series;
}

PlotPanel panel_of(const json& exit, double samples) {
  const json& before = exit.at("before");
  const json& after = exit.at("after");
  const PlotAxis confidence{.label = "confidence (%)", .min = 0.0, .max = 100.0};
  const PlotAxis accuracy{.label = "accuracy, share of samples (%)", .min = 0.0, .max = 100.0};
  PlotPanel panel{.title = fmt::format(
                      "exit {}, T = {:.3f}, ECE {:.2f} % -> {:.2f} %", exit.at("exit").get<int>(),
                      after.at("temperature").get<double>(), 100.0 * before.at("ece").get<double>(),
                      100.0 * after.at("ece").get<double>()),
                  .x = confidence,
                  .y = accuracy,
                  .legend = LegendPlace::kBelow};
  panel.series = {share_series(after, samples), accuracy_series(before, "before", "#0072B2"),
                  accuracy_series(after, "after", "#D55E00"),
                  PlotSeries{.label = "as sure as right",
                             .points = {{0.0, 0.0}, {100.0, 100.0}},
                             .style = SeriesStyle::kLines,
                             .dashed = true,
                             .color = "#404040"}};
  return panel;
}

Plot plot_of(const json& report, const std::string& part) {
  std::vector<std::string> parts;
  for (const json& effect : report.at("effects")) {
    parts.push_back(effect.at("part"));
    if (!part.empty() && part != parts.back()) continue;
    const auto samples = effect.at("samples").get<double>();
    Plot plot{.title = fmt::format("Reliability on {} ({} samples), before and after calibration",
                                   parts.back(), samples)};
    for (const json& exit : effect.at("exits")) plot.panels.push_back(panel_of(exit, samples));
    plot.columns = std::min<std::int64_t>(3, std::ssize(plot.panels));
    return plot;
  }
  throw ConfigError(
      fmt::format("[plot] --part {}, the report has: {}", part, fmt::join(parts, ", ")));
}

}  // namespace

Plot reliability_plot(const std::filesystem::path& report, const std::string& part) {
  std::ifstream file(report);
  if (!file) throw IoError(fmt::format("[plot] cannot read {}", report.string()));
  try {
    return plot_of(json::parse(file), part);
  } catch (const json::exception& error) {
    throw DataError(fmt::format("[plot] {} is no report of `branchy calibrate`: {}",
                                report.string(), printable(error.what())));
  }
}

}  // namespace branchy
