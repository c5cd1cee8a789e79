#include "infer/edge_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace branchy {
namespace {

using nlohmann::ordered_json;

std::string dump(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::string to_json(const EdgeResult& result) {
  const EdgeOutcome& outcome = result.outcome;
  ordered_json line;
  if (result.index) line["index"] = *result.index;
  if (!result.file.empty()) line["file"] = result.file;
  if (result.label) line["label"] = *result.label;
  line["class"] = outcome.prediction.label;
  if (!result.class_name.empty()) line["class_name"] = result.class_name;
  line["exit"] = outcome.prediction.exit;
  line["where"] = outcome.from_cloud ? "cloud" : "edge";
  line["confidence"] = outcome.prediction.confidence;
  line["times_ms"] = {{"decode", result.decode_ms},
                      {"edge", outcome.edge_ms},
                      {"round_trip", outcome.round_trip_ms},
                      {"cloud", outcome.cloud_ms},
                      {"total", outcome.total_ms}};
  line["bytes_sent"] = outcome.bytes_sent;
  line["degraded"] = outcome.degraded;
  if (outcome.degraded) line["reason"] = outcome.reason;
  return dump(line);
}

void EdgeReport::Group::add(const EdgeResult& result) {
  ++num_images;
  if (result.label) {
    ++num_labelled;
    if (*result.label == result.outcome.prediction.label) ++num_right;
  }
  if (result.outcome.from_cloud) ++num_from_cloud;
  bytes_sent += result.outcome.bytes_sent;
  latencies_ms.push_back(result.outcome.total_ms);
}

// Nearest rank: the smallest value that at least `share` of all do not exceed.
double EdgeReport::Group::percentile_ms(double share) const {
  if (latencies_ms.empty()) return 0;
  std::vector<double> sorted = latencies_ms;
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  const auto index = static_cast<std::ptrdiff_t>(std::max(rank, 1.0)) - 1;
  std::nth_element(sorted.begin(), sorted.begin() + index, sorted.end());
  return sorted[static_cast<std::size_t>(index)];
}

void EdgeReport::add(const EdgeResult& result) {
  by_exit_[result.outcome.prediction.exit].add(result);
  total_.add(result);
  if (result.outcome.degraded) ++num_degraded_;
}

std::string EdgeReport::table() const {
  std::string text = fmt::format("{:>5} {:>8} {:>8} {:>9} {:>10} {:>10} {:>11}\n", "exit", "images",
                                 "share", "accuracy", "median ms", "p95 ms", "bytes sent");
  const auto row = [&](const std::string& name, const Group& group) {
    const std::string accuracy =
        group.num_labelled == 0
            ? "-"
            : fmt::format("{:.2f} %", 100 * ratio(group.num_right, group.num_labelled));
    text += fmt::format("{:>5} {:>8} {:>6.2f} % {:>9} {:>10.3f} {:>10.3f} {:>11.0f}\n", name,
                        group.num_images, 100 * ratio(group.num_images, total_.num_images),
                        accuracy, group.percentile_ms(0.5), group.percentile_ms(0.95),
                        ratio(group.bytes_sent, group.num_images));
  };
  for (const auto& [exit, group] : by_exit_) row(std::to_string(exit), group);
  row("all", total_);
  text += fmt::format("answered by the cloud: {}; degraded: {}\n", total_.num_from_cloud,
                      num_degraded_);
  return text;
}

std::string EdgeReport::json() const {
  const auto numbers = [&](const Group& group) {
    ordered_json object;
    object["images"] = group.num_images;
    object["share"] = ratio(group.num_images, total_.num_images);
    if (group.num_labelled > 0) object["accuracy"] = ratio(group.num_right, group.num_labelled);
    object["median_ms"] = group.percentile_ms(0.5);
    object["p95_ms"] = group.percentile_ms(0.95);
    object["mean_bytes_sent"] = ratio(group.bytes_sent, group.num_images);
    object["from_cloud"] = group.num_from_cloud;
    return object;
  };
  ordered_json root = numbers(total_);
  root["degraded"] = num_degraded_;
  root["exits"] = ordered_json::array();
  for (const auto& [exit, group] : by_exit_) {
    ordered_json object = {{"exit", exit}};
    object.update(numbers(group));
    root["exits"].push_back(std::move(object));
  }
  return dump(root);
}

}  // namespace branchy
