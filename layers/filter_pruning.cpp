#include "layers/filter_pruning.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/kernels/sgd_step.h"
#include "layers/models/filter_counts.h"
#include "layers/models/registry.h"

namespace branchy {

namespace {

NetworkPart device_part(const MultiExitNetwork& network) {
  const std::int64_t early = network.num_exits() - 1;
  return {.first_block = 0,
          .end_block = network.exit(early).after_block,
          .first_exit = 1,
          .last_exit = early};
}

std::vector<FilterCount> pruned_counts(MultiExitNetwork& network, double ratio) {
  std::set<std::string> device;
  for (const StateEntry& entry : network.state(device_part(network))) device.insert(entry.name);
  std::vector<FilterCount> filters = network.filters();
  for (FilterCount& filter : filters) {
    if (!device.contains(filter.conv + ".weight")) continue;
    const std::int64_t removed = std::llround(ratio * static_cast<double>(filter.count));
    filter.count -= std::min(removed, filter.count - 1);
  }
  return filters;
}

bool same_structure(MultiExitNetwork& a, MultiExitNetwork& b) {
  if (a.num_exits() != b.num_exits()) return false;
  for (std::int64_t exit = 1; exit <= a.num_exits(); ++exit)
    if (a.exit(exit).after_block != b.exit(exit).after_block) return false;
  const auto same = [](const StateEntry& x, const StateEntry& y) {
    return x.name == y.name && x.variable->shape() == y.variable->shape();
  };
  return std::ranges::equal(a.state(), b.state(), same);
}

/// The same network with its exits placed by hand, where that describes it; exits of a paper stay
/// where they are anyway.
NetworkConfig with_pinned_exits(MultiExitNetwork& network) {
  NetworkConfig pinned = network.config();
  if (pinned.options.contains("exit-after")) return pinned;
  std::vector<std::string> places;
  for (std::int64_t exit = 1; exit < network.num_exits(); ++exit) {
    const auto last = static_cast<std::size_t>(network.exit(exit).after_block - 1);
    places.push_back(network.blocks()[last].name);
  }
  pinned.options.erase("placement");
  pinned.options["exit-after"] = fmt::format("{}", fmt::join(places, ","));
  Rng unused(0);
  return same_structure(network, *make_network(pinned, unused)) ? pinned : network.config();
}

void take_state(MultiExitNetwork& pruned, const MultiExitNetwork& full) {
  std::vector<Channels> after{all_channels(full.input_shape()[1])};  // after each trunk block
  for (std::size_t i = 0; i < full.blocks().size(); ++i)
    after.push_back(pruned.blocks()[i].layer->take_channels(*full.blocks()[i].layer, after.back()));
  for (std::int64_t number = 1; number <= full.num_exits(); ++number) {
    const MultiExitNetwork::Exit& exit = full.exit(number);
    const Channels& feature = after[static_cast<std::size_t>(exit.after_block)];
    static_cast<void>(pruned.exit(number).layer->take_channels(*exit.layer, feature));
  }
}

}  // namespace

std::unique_ptr<MultiExitNetwork> prune_filters(MultiExitNetwork& network, double ratio) {
  if (!(ratio >= 0.0 && ratio < 1.0))
    throw ConfigError(fmt::format(
        "[prune] ratio {}, expected 0 <= ratio < 1: a layer without filters computes nothing",
        ratio));
  if (network.num_exits() == 1)
    throw ConfigError(fmt::format(
        "[prune] {} has no early exit, so no part of it is on the device; give one with exits",
        network.config().name));
  for (const StateEntry& entry : network.state())
    if (!kernels::all_finite(entry.variable->value()))
      throw NumericError(
          fmt::format("[prune] {} holds NaN or infinity; give a trained model", entry.name));
  const std::string filters = filters_text(pruned_counts(network, ratio));
  NetworkConfig config = network.config();
  if (filters != filters_text(network.filters())) {
    config = with_pinned_exits(network);
    config.options[kFiltersOption] = filters;
  }
  Rng unused(0);
  auto pruned = make_network(config, unused);
  take_state(*pruned, network);
  return pruned;
}

}  // namespace branchy
