#include "layers/models/exit_placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace branchy {

namespace {

/// Whether a cumulative count is past the share of exit `k` of `num_exits`, k from 1.
bool reaches(PlacementRule rule, std::int64_t count, std::int64_t total, std::int64_t k,
             std::int64_t num_exits) {
  const auto real_count = static_cast<double>(count);
  const auto real_total = static_cast<double>(total);
  switch (rule) {
    case PlacementRule::kFlops:
      return count * (num_exits + 1) >= total * k;
    case PlacementRule::kPareto:
      return real_count >= real_total * (1.0 - std::pow(0.8, static_cast<double>(k)));
    case PlacementRule::kFibonacci:
      return real_count >=
             real_total * std::pow(1.61803398875, static_cast<double>(k - 1 - num_exits));
    case PlacementRule::kEveryBlock:
      break;
  }
  return true;
}

}  // namespace

const std::vector<std::string>& placement_rule_names() {
  static const std::vector<std::string> names{"flops", "pareto", "fibonacci", "every-block"};
  return names;
}

PlacementRule parse_placement_rule(const std::string& name) {
  const std::vector<std::string>& names = placement_rule_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw ConfigError(
        fmt::format("[placement] rule '{}', expected one of: {}", name, fmt::join(names, ", ")));
  return static_cast<PlacementRule>(found - names.begin());
}

std::vector<std::int64_t> cumulative_counts(std::span<const MultiExitNetwork::Block> blocks,
                                            const Shape& input) {
  std::vector<std::int64_t> counts;
  std::int64_t sum = 0;
  Shape shape = input;
  for (const MultiExitNetwork::Block& block : blocks) {
    sum += block.layer->cost(shape).pthflops;
    counts.push_back(sum);
    shape = block.layer->output_shape(shape);
  }
  return counts;
}

std::vector<std::int64_t> place_exits(PlacementRule rule, std::span<const std::int64_t> cumulative,
                                      std::int64_t total, std::int64_t num_exits) {
  const std::int64_t places = std::ssize(cumulative) - 1;
  if (rule == PlacementRule::kEveryBlock) {
    if (num_exits != 0 && num_exits != places)
      throw ConfigError(fmt::format(
          "[placement] every-block gives {} early exits, {} were wanted; give that number or none",
          places, num_exits));
    num_exits = places;
  }
  if (num_exits > places)  // before the shares are computed, which such a number could overflow
    throw ConfigError(fmt::format(
        "[placement] {} early exits do not fit: there are places after {} blocks; take fewer exits",
        num_exits, places));
  std::vector<std::int64_t> after;
  for (std::int64_t block = 0; block < places && std::ssize(after) < num_exits; ++block)
    if (reaches(rule, cumulative[static_cast<std::size_t>(block)], total, std::ssize(after) + 1,
                num_exits))
      after.push_back(block + 1);
  if (std::ssize(after) < num_exits)
    throw ConfigError(fmt::format(
        "[placement] {} early exits do not fit: the rule finds places for {} among {} blocks; "
        "take fewer exits, or places by hand with exit-after",
        num_exits, after.size(), places));
  return after;
}

}  // namespace branchy
