#include "infer/policies/exit_thresholds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "core/error.h"

namespace branchy {

std::vector<float> resolve_thresholds(std::span<const float> given, std::int64_t num_early_exits,
                                      std::string_view what) {
  const auto count = static_cast<std::size_t>(num_early_exits);
  for (const float threshold : given)
    if (!(threshold >= 0.0F && threshold <= 1.0F))
      throw ConfigError(
          fmt::format("[{}] {} is not a probability; give values from 0 to 1", what, threshold));
  if (given.size() == 1) return std::vector<float>(count, given[0]);
  if (given.size() == count) return {given.begin(), given.end()};
  throw ConfigError(fmt::format("[{}] {} values for {} early exits; give one, or one for each",
                                what, given.size(), num_early_exits));
}

ExitThresholds::ExitThresholds(std::vector<float> given, std::int64_t num_early_exits,
                               std::string_view what)
    : given_(std::move(given)), resolved_(resolve_thresholds(given_, num_early_exits, what)) {}

float ExitThresholds::at(std::int64_t exit) const {
  BRANCHY_DCHECK(exit >= 1 && exit <= std::ssize(resolved_));
  return resolved_[static_cast<std::size_t>(exit - 1)];
}

std::string ExitThresholds::text() const { return fmt::format("{}", fmt::join(given_, "+")); }

}  // namespace branchy
