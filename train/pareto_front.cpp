#include "train/pareto_front.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace branchy {

std::vector<std::int64_t> pareto_front(std::span<const CostValue> points) {
  std::vector<std::int64_t> order(points.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto at = [&](std::int64_t index) { return points[static_cast<std::size_t>(index)]; };
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return at(a).cost != at(b).cost ? at(a).cost < at(b).cost : at(a).value > at(b).value;
  });
  std::vector<std::int64_t> front;
  double best = -std::numeric_limits<double>::infinity();
  for (const std::int64_t index : order) {
    if (!(at(index).value > best)) continue;  // a cheaper or equal one is as good
    best = at(index).value;
    front.push_back(index);
  }
  return front;
}

}  // namespace branchy
