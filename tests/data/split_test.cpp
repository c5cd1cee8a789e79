#include "data/split.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TEST(SplitValidation, HoldsEveryIndexOnce) {
  const ValidationSplit split = split_validation(1000, 100, 3);
  EXPECT_EQ(split.train.size(), 900U);
  EXPECT_EQ(split.validation.size(), 100U);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));
  std::vector<std::int64_t> all = split.train;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  std::sort(all.begin(), all.end());
  for (std::int64_t i = 0; i < 1000; ++i) ASSERT_EQ(all[static_cast<std::size_t>(i)], i);
}

TEST(SplitValidation, IsAFunctionOfTheSeed) {
  EXPECT_EQ(split_validation(1000, 100, 3).validation, split_validation(1000, 100, 3).validation);
  EXPECT_NE(split_validation(1000, 100, 3).validation, split_validation(1000, 100, 4).validation);
}

TEST(SplitValidation, ZeroTrainsOnAll) {
  EXPECT_TRUE(split_validation(10, 0, 1).validation.empty());
  EXPECT_EQ(split_validation(10, 0, 1).train.size(), 10U);
}

TEST(SplitValidation, RejectsAbsurdCounts) {
  for (const std::int64_t count : {std::int64_t{-1}, std::int64_t{10}, std::int64_t{1} << 40})
    test::expect_error<ConfigError>([&] { (void)split_validation(10, count, 1); },
                                    {std::to_string(count), "of 10 images", "0 to 9"});
}

}  // namespace
}  // namespace branchy
