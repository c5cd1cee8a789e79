#include "train/cache_subset.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/expect_error.h"
#include "tests/train/random_cache.h"

namespace branchy {
namespace {

TEST(CacheSubset, TakesEveryNthSampleOfEveryTensor) {
  LogitsCache cache = test::random_cache(1, 10);
  cache.scores = Tensor(Shape{10, 2});
  for (std::int64_t i = 0; i < 20; ++i)
    cache.scores.mutable_data()[static_cast<std::size_t>(i)] = static_cast<float>(i) / 20.0F;
  const LogitsCache taken = take_subset(cache, parse_cache_subset("2/3"));
  EXPECT_EQ(taken.indices, (std::vector<std::int64_t>{1, 4, 7}));
  ASSERT_EQ(taken.num_samples(), 3);
  for (std::int64_t row = 0; row < 3; ++row) {
    const auto from = static_cast<std::size_t>(1 + 3 * row);
    const auto to = static_cast<std::size_t>(row);
    EXPECT_EQ(taken.labels[to], cache.labels[from]);
    for (std::size_t exit = 0; exit < 3; ++exit)
      for (std::size_t k = 0; k < 4; ++k)
        EXPECT_EQ(taken.logits[exit].data()[to * 4 + k], cache.logits[exit].data()[from * 4 + k]);
    EXPECT_EQ(taken.scores.data()[to * 2 + 1], cache.scores.data()[from * 2 + 1]);
  }
  EXPECT_EQ(cache.num_samples(), 10);
}

TEST(CacheSubset, OverlapAgreesWithCounting) {
  for (std::int64_t m = 1; m <= 6; ++m)
    for (std::int64_t a = 1; a <= m; ++a)
      for (std::int64_t n = 1; n <= 6; ++n)
        for (std::int64_t b = 1; b <= n; ++b) {
          bool shared = false;
          for (std::int64_t i = 0; i < 60; ++i)
            shared |= i >= a - 1 && i >= b - 1 && (i - a + 1) % m == 0 && (i - b + 1) % n == 0;
          EXPECT_EQ(overlap({a, m}, {b, n}), shared) << a << "/" << m << " " << b << "/" << n;
        }
}

TEST(CacheSubset, RefusesWhatIsNoSubset) {
  for (const char* text : {"", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1.5/2"})
    test::expect_error<ConfigError>([&] { (void)parse_cache_subset(text); }, {"I/N"});
  test::expect_error<ConfigError>(
      [] { (void)take_subset(test::random_cache(1, 5), {.index = 6, .step = 7}); }, {"empty"});
}

}  // namespace
}  // namespace branchy
