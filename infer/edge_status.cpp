#include "infer/edge_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/printable.h"
#include "core/provenance.h"
#include "infer/process_memory.h"
#include "infer/wire_tensor.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

ordered_json optional_json(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

// Microseconds are enough for people, and the text is a third as long.
double rounded(double ms) { return std::round(ms * 1e3) / 1e3; }

ordered_json exits_json(const EdgeIdentity& identity, const EdgeStatistics::Totals& totals) {
  ordered_json list = ordered_json::array();
  for (std::size_t i = 0; i < totals.exits.size(); ++i) {
    const ExitCounts& counts = totals.exits[i];
    const auto exit = static_cast<std::int64_t>(i) + 1;
    list.push_back({{"exit", exit},
                    {"is_here", exit <= identity.edge_exits},
                    {"edge", counts.edge},
                    {"cloud", counts.cloud},
                    {"degraded", counts.degraded}});
  }
  return list;
}

ordered_json stages_json(const StagePercentiles& latencies) {
  ordered_json list = ordered_json::array();
  for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
    const LatencyPercentiles& one = latencies[stage];
    ordered_json row = {{"stage", to_string(static_cast<EdgeStage>(stage))},
                        {"answers", one.answers}};
    const bool any = one.answers > 0;
    row["p50"] = any ? ordered_json(rounded(one.p50)) : ordered_json();
    row["p95"] = any ? ordered_json(rounded(one.p95)) : ordered_json();
    row["p99"] = any ? ordered_json(rounded(one.p99)) : ordered_json();
    list.push_back(std::move(row));
  }
  return list;
}

ordered_json history_json(const std::vector<HistoryPoint>& history) {
  ordered_json list = ordered_json::array();
  for (const HistoryPoint& point : history) {
    ordered_json stages = ordered_json::object();
    for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
      const LatencyPercentiles& one = point.latencies[stage];
      if (one.answers == 0) continue;
      stages[std::string(to_string(static_cast<EdgeStage>(stage)))] = {
          rounded(one.p50), rounded(one.p95), rounded(one.p99)};
    }
    list.push_back({{"point", point.number},
                    {"images", point.images},
                    {"cloud", point.cloud},
                    {"degraded", point.degraded},
                    {"stages", std::move(stages)},
                    {"bits_per_second", optional_json(point.bits_per_second)},
                    {"round_trip_ms", optional_json(point.round_trip_ms)}});
  }
  return list;
}

ordered_json images_json(const std::vector<RecentImage>& images) {
  ordered_json list = ordered_json::array();
  for (const RecentImage& image : images) {
    const EdgeOutcome& outcome = image.result.outcome;
    const std::string label = image.result.class_name.empty()
                                  ? fmt::format("class {}", outcome.prediction.label)
                                  : image.result.class_name;
    list.push_back({{"id", image.number},
                    {"source", image.result.file},
                    {"class", outcome.prediction.label},
                    {"label", label},
                    {"confidence", outcome.prediction.confidence},
                    {"exit", outcome.prediction.exit},
                    {"where", outcome.from_cloud ? "cloud" : "edge"},
                    {"degraded", outcome.degraded},
                    {"reason", outcome.reason},
                    {"total_ms", rounded(image.total_ms)},
                    {"width", image.thumbnail->image.width},
                    {"height", image.thumbnail->image.height},
                    {"thumbnail", to_data_uri(*image.thumbnail)}});
  }
  return list;
}

std::string_view cloud_state(const EdgeStatus& status) {
  if (!status.has_cloud) return "none";
  return status.cloud_paused ? "paused" : "in use";
}

std::int64_t parse_number(std::string_view key, std::string_view text) {
  std::int64_t number = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || number < 0)
    throw HttpError(400,
                    fmt::format("query {}={}, expected a number from 0 on", key, printable(text)));
  return number;
}

}  // namespace

EdgeStatusQuery parse_status_query(std::string_view target) {
  EdgeStatusQuery query;
  std::string_view rest = target.substr(std::min(target.find('?'), target.size()));
  while (!rest.empty()) {
    rest.remove_prefix(1);  // '?' or '&'
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size());
    const std::string_view key = pair.substr(0, pair.find('='));
    const std::string_view value = pair.substr(std::min(key.size() + 1, pair.size()));
    if (key == "since") query.since = parse_number(key, value);
    if (key == "image") query.after_image = parse_number(key, value);
    if (key == "started") query.started = parse_number(key, value);
  }
  return query;
}

std::string edge_status_json(const EdgeIdentity& identity, const EdgeStatus& status,
                             const EdgeStatistics::Snapshot& snapshot, double uptime_seconds) {
  const EdgeStatistics::Totals& totals = snapshot.totals;
  ordered_json root;
  root["version"] = version_string();
  root["started"] = identity.started;
  root["uptime_s"] = rounded(uptime_seconds);
  root["model"] = {{"name", identity.model},
                   {"exits", identity.num_exits},
                   {"edge_exits", identity.edge_exits},
                   {"policy", status.policy}};
  root["images"] = totals.images;
  root["degraded"] = totals.degraded;
  root["dropped"] = totals.dropped;
  root["exits"] = exits_json(identity, totals);
  root["window"] = snapshot.window;
  root["stages"] = stages_json(snapshot.latencies);
  root["bytes"] = {{"sent", totals.bytes_sent}, {"received", totals.bytes_received}};
  root["link"] = {{"bits_per_second", optional_json(status.bits_per_second)},
                  {"round_trip_ms", optional_json(status.round_trip_ms)}};
  root["cloud"] = {{"state", cloud_state(status)},
                   {"answers", totals.cloud},
                   {"retries", totals.retries},
                   {"hedged", totals.hedged},
                   {"failures", totals.reasons}};
  root["queue"] = {{"images", status.queued},
                   {"waiting_for_cloud", status.waiting},
                   {"at_cloud", status.in_flight}};
  const ProcessMemory memory = process_memory();
  root["memory_bytes"] = {{"resident", memory.resident_bytes}, {"peak", memory.peak_bytes}};
  root["seconds_per_point"] = EdgeStatistics::kInterval.count();
  root["history"] = history_json(snapshot.history);
  root["last_images"] = images_json(snapshot.images);
  return root.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace branchy
