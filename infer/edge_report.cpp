#include "infer/edge_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "infer/percentile.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

std::string dump(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

ordered_json optional_json(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json();
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
  if (outcome.last_exit != outcome.prediction.exit) line["last_exit"] = outcome.last_exit;
  line["where"] = outcome.from_cloud ? "cloud" : "edge";
  line["confidence"] = outcome.prediction.confidence;
  line["times_ms"] = {{"decode", outcome.decode_ms},
                      {"queue", outcome.queue_ms},
                      {"edge", outcome.edge_ms},
                      {"encode", outcome.encode_ms},
                      {"round_trip", outcome.round_trip_ms},
                      {"cloud", outcome.cloud_ms},
                      {"cloud_queue", outcome.cloud_queue_ms},
                      {"total", outcome.total_ms}};
  line["bytes_sent"] = outcome.bytes_sent;
  line["bytes_received"] = outcome.bytes_received;
  line["degraded"] = outcome.degraded;
  line["hedged"] = outcome.hedged;
  line["retries"] = outcome.retries;
  if (!outcome.reason.empty()) line["reason"] = outcome.reason;
  if (outcome.dropped) line["dropped"] = true;
  if (result.is_adaptive) {
    line["policy"] = outcome.policy;
    line["bits_per_second"] = optional_json(outcome.bits_per_second);
  }
  return dump(line);
}

void EdgeReport::Group::add(const EdgeResult& result) {
  ++num_images;
  if (result.label && !result.outcome.dropped) {
    ++num_labelled;
    if (*result.label == result.outcome.prediction.label) ++num_right;
  }
  if (result.outcome.from_cloud) ++num_from_cloud;
  bytes_sent += result.outcome.bytes_sent;
  if (std::ssize(latencies_ms) < kNumLatencies) {
    latencies_ms.push_back(result.outcome.total_ms);
  } else {
    latencies_ms[static_cast<std::size_t>(num_images % kNumLatencies)] = result.outcome.total_ms;
  }
}

double EdgeReport::Group::percentile_ms(double share) const {
  return percentile(latencies_ms, share);
}

void EdgeReport::add(const EdgeResult& result) {
  const EdgeOutcome& outcome = result.outcome;
  if (!outcome.dropped) by_exit_[outcome.prediction.exit].add(result);
  total_.add(result);
  ++by_policy_[outcome.policy];
  if (outcome.dropped) ++num_dropped_;
  if (outcome.hedged) ++num_hedged_;
  if (!outcome.reason.empty()) ++by_reason_[outcome.reason];
  if (outcome.degraded) {
    ++num_degraded_;
  } else if (outcome.prediction.exit != outcome.last_exit) {
    ++num_fallback_;
  }
}

void EdgeReport::set_link(const EdgeStatus& status) { status_ = status; }

// Without the round trip the rest of a transfer's time says little of the bandwidth.
std::optional<double> EdgeReport::bits_per_second() const {
  return status_.round_trip_ms ? status_.bits_per_second : std::nullopt;
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
  text += fmt::format("answered by the cloud: {}; hedged: {}; degraded: {}\n",
                      total_.num_from_cloud, num_hedged_, num_degraded_);
  for (const auto& [reason, count] : by_reason_)
    text += fmt::format("without the cloud, {}: {}\n", reason, count);
  if (num_fallback_ > 0)
    text +=
        fmt::format("with the class of an exit before the last one computed: {}\n", num_fallback_);
  if (num_dropped_ > 0) text += fmt::format("dropped: {}\n", num_dropped_);
  for (const auto& [policy, count] : by_policy_)
    text += fmt::format("policy {}: {} images\n", policy, count);
  if (bits_per_second())
    text += fmt::format("link: {:.3f} Mbit/s, round trip {:.3f} ms\n", *bits_per_second() / 1e6,
                        *status_.round_trip_ms);
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
  root["hedged"] = num_hedged_;
  root["reasons"] = by_reason_;
  root["fallback"] = num_fallback_;
  root["dropped"] = num_dropped_;
  root["policies"] = by_policy_;
  root["link"] = {{"bits_per_second", optional_json(bits_per_second())},
                  {"round_trip_ms", optional_json(status_.round_trip_ms)},
                  {"probe_bytes", status_.probe_bytes}};
  root["exits"] = ordered_json::array();
  for (const auto& [exit, group] : by_exit_) {
    ordered_json object = {{"exit", exit}};
    object.update(numbers(group));
    root["exits"].push_back(std::move(object));
  }
  return dump(root);
}

}  // namespace branchy
