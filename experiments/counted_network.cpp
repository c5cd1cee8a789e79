#include "experiments/counted_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "layers/models/registry.h"
#include "layers/network_options.h"
#include "layers/network_summary.h"

namespace branchy {

namespace {

/// Outputs of the residual blocks of an exit, or of its convolutions where it has none.
std::vector<Shape> steps_of(const std::vector<CostRow>& rows) {
  std::vector<Shape> sums, convolutions;
  for (const CostRow& row : rows) {
    if (row.type.starts_with("add")) sums.push_back(row.dst);
    if (row.type == "conv2d") convolutions.push_back(row.dst);
  }
  return sums.empty() ? convolutions : sums;
}

CountedNetwork count(const MultiExitNetwork& network) {
  CountedNetwork counted{.input = network.input_shape(), .backbone = backbone_cost(network)};
  Cost sum;
  Shape shape = network.input_shape();
  for (const MultiExitNetwork::Block& block : network.blocks()) {
    counted.through.push_back(sum += block.layer->cost(shape));
    counted.features.push_back(shape = block.layer->output_shape(shape));
  }
  for (std::int64_t number = 1; number <= network.num_exits(); ++number) {
    const std::vector<CostRow> exit = network.profile_exit(number);
    counted.trunk.push_back(total_cost(network.profile_trunk(number)));
    counted.exits.push_back(total_cost(exit));
    counted.steps.push_back(steps_of(exit));
    counted.after.push_back(network.exit(number).after_block);
  }
  return counted;
}

}  // namespace

const CountedNetwork& CountedNetworks::get(const NetworkConfig& config) {
  const std::string key = fmt::format("{} {} {} {}", config.name, config.classes,
                                      config.early_exits, fmt::join(to_lines(config.options), " "));
  const auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  Rng rng(0);
  return known_.emplace(key, count(*make_network(config, rng))).first->second;
}

}  // namespace branchy
