#include "train/side_times.h"

#include <fmt/core.h>

#include <cmath>

#include "core/error.h"
#include "train/split_plan.h"

namespace branchy {

SideProfile side_profile(const LayerTimes& times, const MultiExitNetwork& network) {
  const NetworkConfig& config = network.config();
  const std::int64_t early = network.num_exits() - 1;
  if (times.network != config.name || times.classes != config.classes || times.early_exits != early)
    throw ConfigError(fmt::format(
        "[plan] the measured times are of {} with {} classes and {} early exits, the model is {} "
        "with {} and {}",
        times.network, times.classes, times.early_exits, config.name, config.classes, early));
  SideProfile profile{
      .blocks = std::vector<double>(network.blocks().size(), kCannotRun),
      .exits = std::vector<double>(static_cast<std::size_t>(network.num_exits()), kCannotRun)};
  for (const LayerTimes::Block& block : times.blocks)
    profile.blocks[static_cast<std::size_t>(network.blocks_through(block.name) - 1)] = block.ms;
  for (const auto& [exit, ms] : times.exits) {
    if (exit > network.num_exits())
      throw ConfigError(fmt::format("[plan] a measured time of exit {}, the network has {}", exit,
                                    network.num_exits()));
    profile.exits[static_cast<std::size_t>(exit - 1)] = ms;
  }
  return profile;
}

SideProfile side_profile(double operations_per_second, const MultiExitNetwork& network) {
  if (!(operations_per_second > 0.0 && std::isfinite(operations_per_second)))
    throw ConfigError(fmt::format(
        "[plan] speed {} operations/s, expected a positive, finite number", operations_per_second));
  const auto ms = [&](std::int64_t operations) {
    return static_cast<double>(operations) / operations_per_second * 1e3;
  };
  SideProfile profile;
  const auto& blocks = network.blocks();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const Shape src = network.feature_shape(static_cast<std::int64_t>(i));
    profile.blocks.push_back(ms(blocks[i].layer->cost(src).ptflops));
  }
  for (std::int64_t exit = 1; exit <= network.num_exits(); ++exit)
    profile.exits.push_back(ms(total_cost(network.profile_exit(exit)).ptflops));
  return profile;
}

}  // namespace branchy
