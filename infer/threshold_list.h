// Thresholds as text: `0.8` or `0.8,0.9`, on the command line and in requests.
#pragma once

#include <string_view>
#include <vector>

namespace branchy {

/// Reads a comma list of confidence thresholds, each within 0..1; throws ConfigError naming the
/// offending one.
[[nodiscard]] std::vector<float> parse_thresholds(std::string_view text);

}  // namespace branchy
