#include "infer/link_estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace branchy {

namespace {

constexpr double kRoundTripWeight = 0.125;

}  // namespace

void LinkEstimate::add_round_trip(double ms) {
  if (!std::isfinite(ms) || ms < 0)
    throw ConfigError(fmt::format("[link] round trip of {} ms, expected a time", ms));
  round_trip_ms_ =
      round_trip_ms_ ? *round_trip_ms_ + kRoundTripWeight * (ms - *round_trip_ms_) : ms;
}

void LinkEstimate::add_transfer(std::int64_t bytes, double ms) {
  if (!std::isfinite(ms) || bytes < 0)
    throw ConfigError(fmt::format("[link] {} bytes in {} ms, expected a transfer", bytes, ms));
  if (bytes == 0) return;
  const double bits = 8.0 * static_cast<double>(bytes);
  const double transfer_ms = std::max(ms - round_trip_ms_.value_or(0), kShortestMs);
  const double weight = ms_ > 0 ? kWeight : 1.0;
  bits_ += weight * (bits - bits_);
  ms_ += weight * (transfer_ms - ms_);
}

std::optional<double> LinkEstimate::bits_per_second() const {
  if (!(ms_ > 0)) return std::nullopt;
  return 1000.0 * bits_ / ms_;
}

}  // namespace branchy
