#include "experiments/split_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/gnuplot.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

ordered_json number(double value) {
  return std::isnan(value) ? ordered_json() : ordered_json(value);
}

}  // namespace

SplitRow summarize_samples(std::string method, double p_tar,
                           const std::vector<SplitSample>& samples) {
  SplitRow row{.method = std::move(method), .p_tar = p_tar, .latency = {}};
  std::vector<double> times;
  for (const SplitSample& sample : samples) {
    times.push_back(sample.ms);
    row.accuracy += sample.right ? 1 : 0;
    row.offloaded += sample.offloaded ? 1 : 0;
    row.bytes_up += sample.bytes_up;
    row.bytes_down += sample.bytes_down;
    row.edge_ms += sample.edge_ms;
    row.cloud_ms += sample.cloud_ms;
    row.degraded += sample.degraded ? 1 : 0;
  }
  row.latency = summarize(times);
  const auto count = static_cast<double>(samples.size());
  for (double* sum :
       {&row.accuracy, &row.offloaded, &row.bytes_up, &row.bytes_down, &row.edge_ms, &row.cloud_ms})
    *sum /= count;
  return row;
}

std::string split_text(const std::vector<SplitRow>& rows) {
  std::string text =
      fmt::format("{:<34} {:>5} {:>6} {:>17} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8}\n",
                  "method", "p_tar", "images", "mean ms, 95 % CI", "p50", "p95", "p99", "accuracy",
                  "offloaded", "bytes up", "edge ms", "cloud ms");
  for (const SplitRow& row : rows) {
    text += fmt::format(
        "{:<34} {:>5} {:>6} {:>9} +- {:>4} {:>8} {:>8} {:>8} {:>8.2f} {:>9.2f} {:>9.0f} {:>8.2f} "
        "{:>8.2f}\n",
        row.method, figure_text(row.p_tar), row.latency.count, figure_text(row.latency.mean),
        figure_text(row.latency.half_width_95), figure_text(row.latency.p50),
        figure_text(row.latency.p95), figure_text(row.latency.p99), 100 * row.accuracy,
        100 * row.offloaded, row.bytes_up, row.edge_ms, row.cloud_ms);
  }
  return text;
}

std::string split_csv(const std::vector<SplitRow>& rows) {
  std::string text =
      "method,p_tar,images,mean_ms,half_width_95_ms,p50_ms,p95_ms,p99_ms,accuracy,offloaded,"
      "bytes_up,bytes_down,edge_ms,cloud_ms,degraded\n";
  for (const SplitRow& row : rows) {
    const LatencySummary& l = row.latency;
    text += fmt::format(
        "\"{}\",{},{},{:.4f},{:.4f},{:.4f},{:.4f},{:.4f},{:.6f},{:.6f},{:.1f},"
        "{:.1f},{:.4f},{:.4f},{}\n",
        row.method, std::isnan(row.p_tar) ? "" : fmt::format("{}", row.p_tar), l.count, l.mean,
        l.half_width_95, l.p50, l.p95, l.p99, row.accuracy, row.offloaded, row.bytes_up,
        row.bytes_down, row.edge_ms, row.cloud_ms, row.degraded);
  }
  return text;
}

std::string split_json(const std::vector<SplitRow>& rows) {
  ordered_json json = ordered_json::array();
  for (const SplitRow& row : rows) {
    const LatencySummary& l = row.latency;
    json.push_back({{"method", row.method},
                    {"p_tar", number(row.p_tar)},
                    {"images", l.count},
                    {"latency_ms",
                     {{"mean", number(l.mean)},
                      {"half_width_95", number(l.half_width_95)},
                      {"p50", number(l.p50)},
                      {"p95", number(l.p95)},
                      {"p99", number(l.p99)},
                      {"most", number(l.most)}}},
                    {"accuracy", row.accuracy},
                    {"offloaded", row.offloaded},
                    {"bytes_up", row.bytes_up},
                    {"bytes_down", row.bytes_down},
                    {"edge_ms", row.edge_ms},
                    {"cloud_ms", row.cloud_ms},
                    {"degraded", row.degraded}});
  }
  return json.dump();
}

void write_split_svg(const std::vector<SplitRow>& rows, const std::string& title,
                     const std::filesystem::path& path) {
  double low = 1, high = 0;
  for (const SplitRow& row : rows) {
    if (std::isnan(row.p_tar)) continue;
    low = std::min(low, row.p_tar);
    high = std::max(high, row.p_tar);
  }
  PlotPanel panel{.title = title,
                  .x = {.label = "p_tar"},
                  .y = {.label = "mean inference time (ms), 95 % CI", .min = 0.0},
                  .legend = LegendPlace::kBelow};
  const auto point = [](const SplitRow& row, double x) {
    return PlotPoint{.x = x,
                     .y = row.latency.mean,
                     .low = row.latency.mean - row.latency.half_width_95,
                     .high = row.latency.mean + row.latency.half_width_95};
  };
  for (const SplitRow& row : rows) {
    if (std::isnan(row.p_tar)) {
      panel.series.push_back(
          {.label = row.method, .points = {point(row, low), point(row, high)}, .dashed = true});
      continue;
    }
    auto series = std::find_if(panel.series.begin(), panel.series.end(),
                               [&](const PlotSeries& s) { return s.label == row.method; });
    if (series == panel.series.end())
      series = panel.series.insert(series, PlotSeries{.label = row.method});
    series->points.push_back(point(row, row.p_tar));
  }
  write_svg({.panels = {panel}, .panel_width = 640, .panel_height = 480}, path);
}

}  // namespace branchy
