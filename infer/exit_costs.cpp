#include "infer/exit_costs.h"

namespace branchy {

ExitCosts exit_costs(const MultiExitNetwork& network) {
  ExitCosts costs;
  for (std::int64_t exit = 1; exit <= network.num_exits(); ++exit) {
    costs.trunk.push_back(total_cost(network.profile_trunk(exit)).ptflops);
    costs.exit.push_back(total_cost(network.profile_exit(exit)).ptflops);
  }
  if (network.num_exits() > 1) {
    const std::int64_t cut = network.exit(network.num_exits() - 1).after_block;
    costs.feature_bytes =
        network.feature_shape(cut).size() * static_cast<std::int64_t>(sizeof(float));
  }
  return costs;
}

}  // namespace branchy
