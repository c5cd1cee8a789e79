// ExitCosts: what the parts of a network between and in its exits cost, for operation counts of
// policies.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// Operations of one sample in the convention ptflops (Dong et al., section III). Index 0 is
/// exit 1.
struct ExitCosts {
  std::vector<std::int64_t> trunk;  ///< O_l: trunk between exit n-1 and exit n
  std::vector<std::int64_t> exit;   ///< O_e: exit n
  std::int64_t predictor = 0;       ///< O_EP, paid by every sample when a policy uses the scores
  std::int64_t feature_bytes = 0;   ///< what is sent at the last early exit: float32, uncoded

  [[nodiscard]] std::int64_t num_exits() const { return static_cast<std::int64_t>(trunk.size()); }
  /// On the device lie the trunk up to the last early exit and all early exits.
  [[nodiscard]] std::int64_t num_device_exits() const {
    return num_exits() == 1 ? 1 : num_exits() - 1;
  }
};

/// Counts of the whole network, without a predictor.
[[nodiscard]] ExitCosts exit_costs(const MultiExitNetwork& network);

}  // namespace branchy
