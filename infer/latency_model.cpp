#include "infer/latency_model.h"

#include <fmt/core.h>

#include <cmath>

#include "core/error.h"

namespace branchy {

namespace {

constexpr double kMsPerSecond = 1e3;
constexpr double kBitsPerByte = 8;

double time_of(const std::map<std::int64_t, double>& times, std::int64_t exit,
               std::string_view what) {
  const auto found = times.find(exit);
  if (found == times.end())
    throw ConfigError(
        fmt::format("[latency] the measured times lack the {} exit {}; measure the whole model, or "
                    "the device's side of it",
                    what, exit));
  return found->second;
}

void require_time(std::string_view what, double value) {
  if (!(value >= 0.0 && std::isfinite(value)))
    throw ConfigError(fmt::format("[latency] {} {}, expected a finite number from 0", what, value));
}

}  // namespace

void require_bandwidth(std::string_view place, double bits_per_second) {
  if (!(bits_per_second > 0.0 && std::isfinite(bits_per_second)))
    throw ConfigError(fmt::format("[{}] bandwidth {} bit/s, expected a positive, finite number",
                                  place, bits_per_second));
}

PartTimes part_times(const ExitCosts& costs, double operations_per_second,
                     std::int64_t encoder_operations) {
  if (!(operations_per_second > 0.0 && std::isfinite(operations_per_second)))
    throw ConfigError(
        fmt::format("[latency] device speed {} operations/s, expected a positive, finite number",
                    operations_per_second));
  const auto ms = [&](std::int64_t operations) {
    return static_cast<double>(operations) / operations_per_second * kMsPerSecond;
  };
  PartTimes times;
  for (const std::int64_t operations : costs.trunk) times.trunk.push_back(ms(operations));
  for (const std::int64_t operations : costs.exit) times.exit.push_back(ms(operations));
  times.predictor = ms(costs.predictor);
  times.encoder = ms(encoder_operations);
  return times;
}

PartTimes part_times(const LayerTimes& times, std::string_view network, std::int64_t num_exits) {
  if (times.network != network || times.early_exits != num_exits - 1)
    throw ConfigError(fmt::format(
        "[latency] the measured times are of {} with {} early exits, the model is {} with {}",
        times.network, times.early_exits, network, num_exits - 1));
  const auto count = static_cast<std::size_t>(num_exits);
  PartTimes parts{.trunk = std::vector<double>(count, 0.0),
                  .exit = std::vector<double>(count, 0.0)};
  const std::int64_t device_exits = num_exits == 1 ? 1 : num_exits - 1;
  for (std::int64_t exit = 1; exit <= device_exits; ++exit) {
    const auto index = static_cast<std::size_t>(exit - 1);
    parts.trunk[index] = time_of(times.trunk, exit, "trunk before");
    parts.exit[index] = time_of(times.exits, exit, "classifier of");
  }
  parts.predictor = times.predictor.value_or(0.0);
  parts.encoder = times.encoder.value_or(0.0);
  return parts;
}

void LatencyModel::validate() const {
  for (const double ms : parts.trunk) require_time("trunk time in ms", ms);
  for (const double ms : parts.exit) require_time("exit time in ms", ms);
  require_time("predictor time in ms", parts.predictor);
  require_time("encoder time in ms", parts.encoder);
  require_time("bytes sent", sent_bytes);
  require_time("round trip in ms", round_trip_ms);
  require_time("server time in ms", server_ms);
}

double LatencyModel::sending_ms(double bits_per_second) const {
  require_bandwidth("latency", bits_per_second);
  return parts.encoder + kBitsPerByte * sent_bytes / bits_per_second * kMsPerSecond +
         round_trip_ms + server_ms;
}

double LatencyModel::mean_ms(double device_ms, double sent_share, double bits_per_second) const {
  return device_ms + sent_share * sending_ms(bits_per_second);
}

}  // namespace branchy
