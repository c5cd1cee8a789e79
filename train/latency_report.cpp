#include "train/latency_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/provenance.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

constexpr double kMega = 1e6;

ordered_json to_json(const LatencyPoint& point, double limit_ms) {
  return {{"accuracy", point.accuracy},
          {"latency_ms", point.latency_ms},
          {"latency_without_encoder_ms", point.latency_without_encoder_ms},
          {"device_operations", point.device_operations},
          {"sent_share", point.sent_share},
          {"within_limit", point.latency_ms <= limit_ms}};
}

std::string csv_point(const LatencyPoint& point) {
  return fmt::format("{},{},{},{},{}", point.accuracy, point.latency_ms,
                     point.latency_without_encoder_ms, point.device_operations, point.sent_share);
}

std::string text_point(const LatencyPoint& point, double limit_ms) {
  return fmt::format("{:>8.2f} {:>9.2f}{} {:>7.2f} {:>8.2f}", 100 * point.accuracy,
                     point.latency_ms, point.latency_ms <= limit_ms ? ' ' : '!',
                     100 * point.sent_share, point.device_operations / kMega);
}

}  // namespace

LatencyPoint latency_point(const RouteCounts& counts, const LatencyModel& model,
                           const ExitCosts& costs, double bits_per_second) {
  const double ms =
      model.mean_ms(counts.device_ms(model.parts), counts.sent_share(), bits_per_second);
  return {.accuracy = counts.accuracy(),
          .latency_ms = ms,
          .latency_without_encoder_ms = ms - counts.sent_share() * model.parts.encoder,
          .device_operations = counts.device_operations(costs),
          .sent_share = counts.sent_share()};
}

std::string LatencyReport::text() const {
  std::string text;
  for (const auto& [key, value] : facts) text += fmt::format("{}: {}\n", key, value);
  const bool tested = !rows.empty() && rows.front().test.has_value();
  constexpr const char* kColumns = "accuracy latency ms  sent % device M";
  std::string method;
  for (const LatencyRow& row : rows) {
    if (row.method != method) {
      method = row.method;
      text += fmt::format("\n{}\n{:>9} | selection{:26} |{}{}\n", method, "", "",
                          tested ? fmt::format(" test{:31} |", "") : "", "");
      text += fmt::format("{:>9} | {} |{} policy\n", "Mbit/s", kColumns,
                          tested ? fmt::format(" {} |", kColumns) : "");
    }
    text += fmt::format("{:>9.6g} | {} |", row.bits_per_second / kMega,
                        text_point(row.selection, limit_ms));
    if (row.test) text += fmt::format(" {} |", text_point(*row.test, limit_ms));
    text += fmt::format(" {}\n", row.policy);
  }
  return text +
         fmt::format("\n!: above the limit of {:g} ms; device M: 10^6 operations (ptflops)\n",
                     limit_ms);
}

std::string LatencyReport::csv() const {
  constexpr const char* kColumns[] = {"accuracy", "latency_ms", "latency_without_encoder_ms",
                                      "device_operations", "sent_share"};
  std::string text = "method,mbit_per_second,policy";
  for (const char* part : {"selection", "test"})
    for (const char* column : kColumns) text += fmt::format(",{}_{}", part, column);
  text += "\n";
  for (const LatencyRow& row : rows)
    text +=
        fmt::format("\"{}\",{},\"{}\",{},{}\n", row.method, row.bits_per_second / kMega, row.policy,
                    csv_point(row.selection), row.test ? csv_point(*row.test) : ",,,,");
  return text;
}

std::string LatencyReport::json() const {
  ordered_json document;
  for (const auto& [key, value] : provenance()) document[key] = value;
  for (const auto& [key, value] : facts) document["facts"][key] = value;
  document["limit_ms"] = limit_ms;
  document["rows"] = ordered_json::array();
  for (const LatencyRow& row : rows) {
    ordered_json entry{{"method", row.method},
                       {"mbit_per_second", row.bits_per_second / kMega},
                       {"policy", row.policy},
                       {"selection", to_json(row.selection, limit_ms)}};
    entry["test"] = row.test ? to_json(*row.test, limit_ms) : ordered_json();
    document["rows"].push_back(std::move(entry));
  }
  return document.dump(2) + "\n";
}

}  // namespace branchy
