#include "core/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

namespace branchy {
namespace {

TEST(Rng, RepeatsItselfForTheSameKey) {
  Rng a({1, 2, 3});
  Rng b({1, 2, 3});
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(a.next_u64(), b.next_u64());
}

TEST(Rng, GivesTheSameNumbersOnEveryMachine) {
  // Recorded once: a change here changes every seeded result of the project.
  Rng rng({7, 0, 42});
  EXPECT_EQ(rng.next_u64(), 9190130794211460059U);
  EXPECT_EQ(rng.next_u64(), 825869215156502466U);
  EXPECT_EQ(Rng(0).next_u64(), 2558736989570252433U);
}

TEST(Rng, StreamsOfNeighbouringKeysDiffer) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    for (std::uint64_t epoch = 0; epoch < 10; ++epoch)
      for (std::uint64_t index = 0; index < 100; ++index)
        first.insert(Rng({seed, epoch, index}).next_u64());
  EXPECT_EQ(first.size(), 10'000U);
  EXPECT_NE(Rng({1, 2}).next_u64(), Rng({2, 1}).next_u64());
  EXPECT_NE(Rng({1}).next_u64(), Rng({1, 0}).next_u64());
}

TEST(Rng, UniformStaysInRangeWithTheRightMoments) {
  Rng rng(3);
  constexpr int kDraws = 200'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 0.005);
}

TEST(Rng, NormalHasTheRightMoments) {
  Rng rng(4);
  constexpr int kDraws = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.01);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.015);
  EXPECT_NEAR(fourth / kDraws, 3.0, 0.12);
}

TEST(Rng, BelowIsUniformAndInRange) {
  Rng rng(5);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(static_cast<std::size_t>(rng.below(7)));
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.below(1), 0);
  EXPECT_GE(rng.below(std::int64_t{1} << 62), 0);
}

TEST(Rng, PermutationHoldsEveryIndexOnce) {
  for (const std::int64_t n : {0, 1, 2, 1000}) {
    std::vector<std::int64_t> order = Rng(6).permutation(n);
    std::vector<std::int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::int64_t> expected(static_cast<std::size_t>(n));
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(sorted, expected);
    if (n == 1000) {
      EXPECT_NE(order, expected);
    }
  }
}

TEST(Rng, PermutationPutsEveryIndexEverywhere) {
  std::array<std::array<int, 4>, 4> counts{};
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    const std::vector<std::int64_t> order = Rng({8, seed}).permutation(4);
    for (std::size_t i = 0; i < 4; ++i) ++counts[i][static_cast<std::size_t>(order[i])];
  }
  for (const auto& row : counts)
    for (const int count : row) EXPECT_NEAR(count, 5'000, 300);
}

}  // namespace
}  // namespace branchy
