// LinkEstimate: round trip and bandwidth to a peer, from what exchanges with it took.
#pragma once

#include <cstdint>
#include <optional>

namespace branchy {

/// Model of an exchange: time = round trip + bits / bandwidth. Small exchanges give the round trip
/// (smoothed with weight 1/8 as in RFC 6298, section 2), large ones the bandwidth: the ratio of two
/// exponentially weighted averages, of bits and of the time beyond the round trip, so that long
/// transfers count for more than short ones and a wrong moment is forgotten.
class LinkEstimate {
 public:
  /// Share of the newest transfer in the averages.
  static constexpr double kWeight = 0.25;
  /// Time beyond the round trip below this is no measurement; it counts as this much.
  static constexpr double kShortestMs = 0.02;

  /// An exchange too small for the bandwidth to matter. Throws ConfigError for a time that is
  /// negative or not finite.
  void add_round_trip(double ms);
  /// An exchange of `bytes` in both directions that took `ms` without the peer's computing. Nothing
  /// happens for no bytes; a time that is negative counts as 0. Throws ConfigError for bytes below
  /// 0 or a time that is not finite.
  void add_transfer(std::int64_t bytes, double ms);

  /// Nothing before the first transfer.
  [[nodiscard]] std::optional<double> bits_per_second() const;
  /// Nothing before the first small exchange.
  [[nodiscard]] std::optional<double> round_trip_ms() const { return round_trip_ms_; }

 private:
  std::optional<double> round_trip_ms_;
  double bits_ = 0, ms_ = 0;  // averages; 0 before the first transfer
};

}  // namespace branchy
