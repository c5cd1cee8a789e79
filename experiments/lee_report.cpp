#include "experiments/lee_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace branchy {

namespace {

using nlohmann::ordered_json;

constexpr double kPercent = 100.0;

std::string percent(std::optional<double> value) {
  return value ? fmt::format("{:.2f}", kPercent * *value) : "n/a";
}

ordered_json or_null(std::optional<double> value) {
  return value ? ordered_json(*value) : ordered_json();
}

/// What a figure of the paper meets here: the first row of its kind.
const LeeRow* row_of(const LeePrinted& figure, std::span<const LeeRow> rows) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const LeeRow& row) { return figure.is_of(row); });
  return found == rows.end() ? nullptr : &*found;
}

std::string printed_text(std::span<const LeeRow> rows, std::span<const LeePrinted> printed) {
  std::string text = fmt::format("{:<12} {:<12} {:>4} {:>10} {:>10}  {}\n", "paper", "quantity",
                                 "T", "printed", "here", "where");
  for (const LeePrinted& figure : printed) {
    const LeeRow* row = row_of(figure, rows);
    if (row == nullptr) continue;
    const std::optional<double> here = measured(*row, figure.quantity);
    text += fmt::format("{:<12} {:<12} {:>4} {:>10} {:>10}  {}\n", row->name(), figure.quantity,
                        figure.threshold ? fmt::format("{}", *figure.threshold) : "-", figure.value,
                        here ? fmt::format("{:.2f}", *here) : "n/a", figure.where);
  }
  return text;
}

/// One line for each model and active exit, as (T, value).
std::vector<PlotSeries> series_of(std::span<const LeeRow> rows, double (*value)(const LeeRow&)) {
  std::vector<PlotSeries> series;
  for (const LeeRow& row : rows) {
    if (series.empty() || series.back().label != row.name())
      series.push_back({.label = row.name(), .dashed = row.multi_exit});
    series.back().points.push_back({.x = row.threshold, .y = kPercent * value(row)});
  }
  return series;
}

}  // namespace

std::string lee_text(std::span<const LeeRow> rows, std::span<const LeePrinted> printed,
                     std::span<const LeeTrend> trends) {
  std::string text = fmt::format(
      "acc_exited: of the samples answered at the edge (the paper's edge accuracy); acc_cloud: of "
      "the\nothers; acc_all: of all samples at the active exit. Operations in the convention "
      "ptflops.\n\n{:<12} {:>4} {:>8} {:>8} {:>11} {:>11} {:>9} {:>9} {:>9} {:>10}\n",
      "model", "T", "local", "cloud", "acc_exited", "acc_cloud", "overall", "acc_all", "device M",
      "bytes");
  for (const LeeRow& row : rows)
    text += fmt::format("{:<12} {:>4} {:>8} {:>8} {:>11} {:>11} {:>9} {:>9} {:>9.2f} {:>10.0f}\n",
                        row.name(), row.threshold, row.local, row.samples - row.local,
                        percent(row.acc_exited), percent(row.acc_cloud), percent(row.overall),
                        percent(row.acc_all), static_cast<double>(row.device_operations) / 1e6,
                        row.mean_bytes);
  text += "\n" + printed_text(rows, printed) + "\n";
  for (const LeeTrend& trend : trends) {
    text += fmt::format("{}: {}\n", trend.statement, trend.verdict());
    for (const std::string& pair : trend.against) text += fmt::format("    {}\n", pair);
  }
  return text;
}

std::string lee_csv(std::span<const LeeRow> rows) {
  std::string text =
      "model,active_exit_after_block,threshold,samples,local,acc_exited,acc_cloud,overall,acc_all,"
      "acc_all_final,device_operations,mean_bytes\n";
  const auto field = [](std::optional<double> value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  for (const LeeRow& row : rows)
    text += fmt::format("\"{}\",{},{},{},{},{},{},{},{},{},{},{}\n", row.model, row.block,
                        row.threshold, row.samples, row.local, field(row.acc_exited),
                        field(row.acc_cloud), row.overall, row.acc_all, row.acc_all_final,
                        row.device_operations, row.mean_bytes);
  return text;
}

std::string lee_json(std::span<const LeeRow> rows, std::span<const LeePrinted> printed,
                     std::span<const LeeTrend> trends) {
  ordered_json json;
  json["rows"] = ordered_json::array();
  for (const LeeRow& row : rows)
    json["rows"].push_back({{"model", row.model},
                            {"active_exit_after_block", row.block},
                            {"threshold", row.threshold},
                            {"samples", row.samples},
                            {"local", row.local},
                            {"acc_exited", or_null(row.acc_exited)},
                            {"acc_cloud", or_null(row.acc_cloud)},
                            {"overall", row.overall},
                            {"acc_all", row.acc_all},
                            {"acc_all_final", row.acc_all_final},
                            {"device_operations", row.device_operations},
                            {"mean_bytes", row.mean_bytes}});
  json["printed"] = ordered_json::array();
  for (const LeePrinted& figure : printed) {
    const LeeRow* row = row_of(figure, rows);
    if (row == nullptr) continue;
    json["printed"].push_back({{"model", row->name()},
                               {"quantity", figure.quantity},
                               {"threshold", or_null(figure.threshold)},
                               {"paper", figure.value},
                               {"here", or_null(measured(*row, figure.quantity))},
                               {"where", figure.where}});
  }
  json["trends"] = ordered_json::array();
  for (const LeeTrend& trend : trends)
    json["trends"].push_back({{"statement", trend.statement},
                              {"verdict", trend.verdict()},
                              {"holding", trend.holding},
                              {"compared", trend.compared},
                              {"against", trend.against}});
  return json.dump();
}

Plot lee_plot(std::span<const LeeRow> rows) {
  const PlotAxis threshold{.label = "entropy threshold T", .min = 0.0};
  return {.title = "Local exits as in Lee et al. 2020",
          .panels = {{.title = "Answered at the edge",
                      .x = threshold,
                      .y = {.label = "local share (%)", .min = 0.0, .max = kPercent},
                      .series = series_of(rows, [](const LeeRow& r) { return r.local_share(); }),
                      .legend = LegendPlace::kBottomRight},
                     {.title = "All answers",
                      .x = threshold,
                      .y = {.label = "overall accuracy (%)"},
                      .series = series_of(rows, [](const LeeRow& r) { return r.overall; }),
                      .legend = LegendPlace::kBottomLeft}}};
}

}  // namespace branchy
