// Where early exits go along a trunk: rules on the cumulative operation counts of its blocks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// `total` is the count of the whole network; exit k of B goes after the first block whose
/// cumulative count reaches its share of the total, at most one exit a block:
///   flops      total k / (B + 1)                 (Pacheco et al. 2021, the code's default)
///   pareto     total (1 - 0.8^k)                 (the same code)
///   fibonacci  total 1.61803398875^(k - 1 - B)   (the same code)
///   every-block  after each block but the last, whatever the counts
enum class PlacementRule { kFlops, kPareto, kFibonacci, kEveryBlock };

/// The names of the rules in the order of the enumeration.
[[nodiscard]] const std::vector<std::string>& placement_rule_names();
/// Throws ConfigError listing the names.
[[nodiscard]] PlacementRule parse_placement_rule(const std::string& name);

/// `pthflops` of the trunk up to and with each block.
[[nodiscard]] std::vector<std::int64_t> cumulative_counts(
    std::span<const MultiExitNetwork::Block> blocks, const Shape& input);

/// Number of trunk blocks before each of `num_exits` early exits, rising; all are below the number
/// of blocks, as the final exit follows the last. every-block takes num_exits blocks - 1 or 0
/// (then the same). Throws ConfigError when there are fewer places than exits.
[[nodiscard]] std::vector<std::int64_t> place_exits(PlacementRule rule,
                                                    std::span<const std::int64_t> cumulative,
                                                    std::int64_t total, std::int64_t num_exits);

}  // namespace branchy
