// PolicyGrid: many policies from one text with sets of numbers in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

/// Grammar: a policy's text in which any number may be a set, alternatives A|B|... each a number
/// or a range LOW..HIGH/STEP (both ends included, falling when LOW > HIGH):
///
///     max-probability:0.2..0.99/0.01            one threshold for all exits, 80 policies
///     max-probability:0.2..0.9/0.1+0.5|0.9      one set for each exit, 16 policies
///     entropy:0.1|0.3|0.5|0.8
///     predictor:0.9,gamma=0..0.95/0.05+0..0.95/0.05
///
/// Ranges are stepped in decimals, so 0.2..0.99/0.01 holds exactly 0.2, 0.21, ...
struct PolicyGrid {
  std::vector<std::string> texts;  ///< every combination, the last set running fastest
  std::int64_t lines = 1;          ///< combinations of all sets but the last; what it runs through
                                   ///< in each is a sequence in the sense of `control_risk`
};

inline constexpr std::int64_t kMaxGrid = 1000000;

/// Throws ConfigError naming the set that is empty or no set of numbers, or for a grid of more than
/// kMaxGrid policies. A text without sets is a grid of one.
[[nodiscard]] PolicyGrid parse_policy_grid(std::string_view text);

}  // namespace branchy
