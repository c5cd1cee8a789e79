#include "train/pareto_front.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/rng.h"

namespace branchy {
namespace {

/// The definition, point against point.
std::vector<std::int64_t> brute_force(const std::vector<CostValue>& points) {
  std::vector<std::int64_t> front;
  for (std::size_t i = 0; i < points.size(); ++i) {
    bool beaten = false;
    for (std::size_t j = 0; j < points.size(); ++j) {
      const bool as_good = points[j].cost <= points[i].cost && points[j].value >= points[i].value;
      const bool better = points[j].cost < points[i].cost || points[j].value > points[i].value;
      beaten |= as_good && (better || j < i);  // of equals the first
    }
    if (!beaten) front.push_back(static_cast<std::int64_t>(i));
  }
  std::sort(front.begin(), front.end(), [&](std::int64_t a, std::int64_t b) {
    return points[static_cast<std::size_t>(a)].cost < points[static_cast<std::size_t>(b)].cost;
  });
  return front;
}

TEST(ParetoFront, AgreesWithBruteForce) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    std::vector<CostValue> points(static_cast<std::size_t>(1 + rng.below(60)));
    // Few distinct values, so that many points tie in one or both.
    for (CostValue& point : points)
      point = {static_cast<double>(rng.below(12)), static_cast<double>(rng.below(12))};
    EXPECT_EQ(pareto_front(points), brute_force(points)) << "seed " << seed;
  }
}

TEST(ParetoFront, OfNothingIsEmpty) { EXPECT_TRUE(pareto_front({}).empty()); }

}  // namespace
}  // namespace branchy
