// Is the emulated link the one that it says? Transfers measured against arithmetic.
#pragma once

#include <cstdint>
#include <vector>

#include "experiments/link_conditions.h"

namespace branchy {

/// A request of `bytes` and an answer of 16 bytes over a link; milliseconds.
struct LinkCalibration {
  LinkConditions conditions;
  std::int64_t bytes = 0;
  bool new_connection = false;
  double expected_ms = 0;  ///< bytes * 8 / up + 16 * 8 / down + round trip, + one for a handshake
  double least_ms = 0, median_ms = 0;  ///< measured, of `repeats`
};

/// For each size on a kept and on a new connection, over a relay and a peer in this process.
[[nodiscard]] std::vector<LinkCalibration> calibrate_link(const LinkConditions& conditions,
                                                          const std::vector<std::int64_t>& sizes,
                                                          int repeats);

}  // namespace branchy
