#include "layers/network_summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace branchy {

Cost backbone_cost(const MultiExitNetwork& network) {
  Cost total = total_cost(network.profile_exit(network.num_exits()));
  for (std::int64_t exit = 1; exit <= network.num_exits(); ++exit)
    total += total_cost(network.profile_trunk(exit));
  return total;
}

Cost whole_cost(const MultiExitNetwork& network) {
  Cost total = backbone_cost(network);
  for (std::int64_t exit = 1; exit < network.num_exits(); ++exit)
    total += total_cost(network.profile_exit(exit));
  return total;
}

std::string shape_text(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape.dims().subspan(1), "x"));
}

}  // namespace branchy
