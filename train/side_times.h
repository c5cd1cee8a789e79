// What each side of a split needs for a network's parts, measured or counted.
#pragma once

#include <string>
#include <vector>

#include "infer/layer_times.h"
#include "layers/network.h"

namespace branchy {

/// Milliseconds of one sample on one machine.
struct SideProfile {
  std::vector<double> blocks;  ///< of every trunk block; kCannotRun where not measured
  std::vector<double> exits;   ///< of every exit, the final one last
};

/// Throws ConfigError when the file is of another network (name, classes, early exits, a block that
/// it does not have).
[[nodiscard]] SideProfile side_profile(const LayerTimes& times, const MultiExitNetwork& network);
/// Operations (ptflops) / speed. Throws ConfigError unless the speed is positive and finite.
[[nodiscard]] SideProfile side_profile(double operations_per_second,
                                       const MultiExitNetwork& network);

}  // namespace branchy
