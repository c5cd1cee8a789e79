// Percentiles of a list of times.
#pragma once

#include <vector>

namespace branchy {

/// Nearest rank: the smallest value that at least `share` (0..1) of all do not exceed; 0 for an
/// empty list.
[[nodiscard]] double percentile(std::vector<double> values, double share);

}  // namespace branchy
