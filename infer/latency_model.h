// LatencyModel: the time from an image to its class when a device and a server share the network.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "infer/exit_costs.h"
#include "infer/layer_times.h"

namespace branchy {

/// Milliseconds that one sample spends in the parts of a split network. Index 0 is exit 1; the
/// device's parts are those of ExitCosts::num_device_exits.
struct PartTimes {
  std::vector<double> trunk = {};  ///< between exit n-1 and exit n
  std::vector<double> exit = {};   ///< exit n
  double predictor = 0;            ///< paid by every sample when a policy uses its scores
  double encoder = 0;              ///< paid by samples that are sent
};

/// O / speed for every part (eq. 11 of Dong et al., first term). `encoder_operations` are those of
/// the codec's encoder. Throws ConfigError unless the speed is finite and positive.
[[nodiscard]] PartTimes part_times(const ExitCosts& costs, double operations_per_second,
                                   std::int64_t encoder_operations = 0);
/// Measured times of the device's parts. Throws ConfigError when the file is of another network
/// than `network` with `num_exits` exits, or lacks a part on the device.
[[nodiscard]] PartTimes part_times(const LayerTimes& times, std::string_view network,
                                   std::int64_t num_exits);

/// Eq. (11) of Dong, Mao, Zhang 2022 with what it leaves at 0:
///   latency = device + [sent] (encoder + bits / bandwidth + round trip + server)
struct LatencyModel {
  PartTimes parts = {};
  double sent_bytes = 0;     ///< of one sample that goes to the server; a mean when they differ
  double round_trip_ms = 0;  ///< of a message without content and its answer
  double server_ms = 0;      ///< the rest of the network there

  /// Throws ConfigError for a time or size that is negative or not finite.
  void validate() const;
  /// What being sent adds to one sample. Throws ConfigError for a bandwidth that is 0, negative,
  /// NaN or infinite.
  [[nodiscard]] double sending_ms(double bits_per_second) const;
  /// Mean latency of samples that spend `device_ms` on the device and of which `sent_share` (0..1)
  /// go on to the server.
  [[nodiscard]] double mean_ms(double device_ms, double sent_share, double bits_per_second) const;
};

/// Throws ConfigError naming `place` unless the bandwidth is finite and positive.
void require_bandwidth(std::string_view place, double bits_per_second);

}  // namespace branchy
