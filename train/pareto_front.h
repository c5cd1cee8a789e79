// Pareto front: the settings that none other beats in accuracy and cost at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace branchy {

/// Something to weigh: lower cost and higher value are better.
struct CostValue {
  double cost = 0.0, value = 0.0;
};

/// Indices of the front by rising cost. A point is on it when no other has a cost as low and a
/// value as high, one of them strictly better; of points that are equal in both only the first.
[[nodiscard]] std::vector<std::int64_t> pareto_front(std::span<const CostValue> points);

}  // namespace branchy
