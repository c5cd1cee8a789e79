#include "experiments/lee_latency.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace branchy {
namespace {

using nlohmann::ordered_json;

ordered_json number(double value) {
  return std::isnan(value) ? ordered_json() : ordered_json(value);
}

double share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(part) / static_cast<double>(whole);
}

ordered_json to_json(const LatencySummary& latency) {
  return {{"mean", number(latency.mean)},
          {"half_width_95", number(latency.half_width_95)},
          {"p50", number(latency.p50)},
          {"p95", number(latency.p95)},
          {"p99", number(latency.p99)}};
}

}  // namespace

LeeLatencyRow lee_latency_row(const std::vector<LeeSample>& samples, double seconds) {
  LeeLatencyRow row;
  std::vector<double> edge_ms, cloud_ms;
  std::int64_t edge_right = 0, cloud_right = 0;
  for (const LeeSample& sample : samples) {
    (sample.from_cloud ? cloud_ms : edge_ms).push_back(sample.ms);
    (sample.from_cloud ? cloud_right : edge_right) += sample.right ? 1 : 0;
    row.degraded += sample.degraded ? 1 : 0;
  }
  row.edge_samples = std::ssize(edge_ms);
  row.cloud_samples = std::ssize(cloud_ms);
  row.edge_accuracy = share(edge_right, row.edge_samples);
  row.cloud_accuracy = share(cloud_right, row.cloud_samples);
  row.overall_accuracy = share(edge_right + cloud_right, std::ssize(samples));
  row.edge = summarize(edge_ms);
  row.cloud = summarize(cloud_ms);
  row.overall_ms = samples.empty() ? std::numeric_limits<double>::quiet_NaN()
                                   : seconds * 1e3 / static_cast<double>(samples.size());
  return row;
}

std::string lee_latency_text(const std::vector<LeeLatencyRow>& rows) {
  std::string text = fmt::format(
      "{:<8} {:>4} {:>5} {:>6} {:>6} | {:>6} {:>6} {:>7} | {:>8} {:>7} {:>7} {:>7} | {:>8} {:>7} "
      "{:>7} {:>7} | {:>9}\n",
      "model", "exit", "T", "edge", "cloud", "acc e", "acc c", "overall", "edge ms", "p50", "p95",
      "p99", "cloud ms", "p50", "p95", "p99", "ms/sample");
  for (const LeeLatencyRow& row : rows)
    text += fmt::format(
        "{:<8} {:>4} {:>5} {:>6} {:>6} | {:>6} {:>6} {:>7} | {:>8} {:>7} {:>7} {:>7} | {:>8} {:>7} "
        "{:>7} {:>7} | {:>9}\n",
        row.model, row.exit, row.threshold, row.edge_samples, row.cloud_samples,
        figure_text(100 * row.edge_accuracy), figure_text(100 * row.cloud_accuracy),
        figure_text(100 * row.overall_accuracy), figure_text(row.edge.mean),
        figure_text(row.edge.p50), figure_text(row.edge.p95), figure_text(row.edge.p99),
        figure_text(row.cloud.mean), figure_text(row.cloud.p50), figure_text(row.cloud.p95),
        figure_text(row.cloud.p99), figure_text(row.overall_ms, 3));
  return text;
}

std::string lee_latency_csv(const std::vector<LeeLatencyRow>& rows) {
  std::string text =
      "model,exit,threshold,edge_samples,cloud_samples,edge_accuracy,cloud_accuracy,"
      "overall_accuracy,edge_ms,edge_half_width_95_ms,edge_p50_ms,edge_p95_ms,edge_p99_ms,cloud_ms,"
      "cloud_half_width_95_ms,cloud_p50_ms,cloud_p95_ms,cloud_p99_ms,overall_ms_per_sample,"
      "degraded\n";
  const auto field = [](double value) { return figure_text(value, 5); };
  for (const LeeLatencyRow& row : rows) {
    text += fmt::format("{},{},{},{},{},{},{},{}", row.model, row.exit, row.threshold,
                        row.edge_samples, row.cloud_samples, field(row.edge_accuracy),
                        field(row.cloud_accuracy), field(row.overall_accuracy));
    for (const LatencySummary* l : {&row.edge, &row.cloud})
      text += fmt::format(",{},{},{},{},{}", field(l->mean), field(l->half_width_95), field(l->p50),
                          field(l->p95), field(l->p99));
    text += fmt::format(",{},{}\n", field(row.overall_ms), row.degraded);
  }
  return text;
}

std::string lee_latency_json(const std::vector<LeeLatencyRow>& rows) {
  ordered_json json = ordered_json::array();
  for (const LeeLatencyRow& row : rows)
    json.push_back({{"model", row.model},
                    {"exit", row.exit},
                    {"threshold", row.threshold},
                    {"edge_samples", row.edge_samples},
                    {"cloud_samples", row.cloud_samples},
                    {"acc_exited_edge", number(row.edge_accuracy)},
                    {"acc_exited_cloud", number(row.cloud_accuracy)},
                    {"acc_overall", number(row.overall_accuracy)},
                    {"edge_latency_ms", to_json(row.edge)},
                    {"cloud_latency_ms", to_json(row.cloud)},
                    {"overall_latency_ms_per_sample", number(row.overall_ms)},
                    {"degraded", row.degraded}});
  return json.dump();
}

}  // namespace branchy
