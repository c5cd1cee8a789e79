#include "train/policy_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using ::testing::ElementsAre;

TEST(PolicyGrid, TextWithoutSetsIsItself) {
  for (const char* text : {"max-probability:0.9,0.85", "p-tar:0.8,active=2+3", "gate", "fixed:2"})
    EXPECT_THAT(parse_policy_grid(text).texts, ElementsAre(text));
}

TEST(PolicyGrid, RangesHoldBothEndsInExactDecimals) {
  const PolicyGrid grid = parse_policy_grid("max-probability:0.2..0.99/0.01");
  ASSERT_EQ(grid.texts.size(), 80U);
  EXPECT_EQ(grid.lines, 1);
  EXPECT_EQ(grid.texts.front(), "max-probability:0.2");
  EXPECT_EQ(grid.texts[10], "max-probability:0.3");
  EXPECT_EQ(grid.texts.back(), "max-probability:0.99");
  EXPECT_THAT(parse_policy_grid("entropy:1..0/0.4").texts,
              ElementsAre("entropy:1", "entropy:0.6", "entropy:0.2"));
  EXPECT_THAT(parse_policy_grid("patience:1..3/1").texts,
              ElementsAre("patience:1", "patience:2", "patience:3"));
}

TEST(PolicyGrid, SetsCombineTheLastRunningFastest) {
  const PolicyGrid grid = parse_policy_grid("predictor:0.9,gamma=0|0.5+0.1..0.3/0.1");
  EXPECT_THAT(grid.texts,
              ElementsAre("predictor:0.9,gamma=0+0.1", "predictor:0.9,gamma=0+0.2",
                          "predictor:0.9,gamma=0+0.3", "predictor:0.9,gamma=0.5+0.1",
                          "predictor:0.9,gamma=0.5+0.2", "predictor:0.9,gamma=0.5+0.3"));
  EXPECT_EQ(grid.lines, 2);
  EXPECT_THAT(parse_policy_grid("entropy:0.1..0.2/0.1|0.5,drop=0.9").texts,
              ElementsAre("entropy:0.1,drop=0.9", "entropy:0.2,drop=0.9", "entropy:0.5,drop=0.9"));
}

TEST(PolicyGrid, AbsurdSetsAreRefused) {
  for (const char* text : {"entropy:0.1..0.5", "entropy:..0.5/0.1", "entropy:0.1../0.1",
                           "entropy:0.1..0.5/", "entropy:nan..0.5/0.1", "entropy:0.1..0.5/-0.1",
                           "entropy:1e-3..0.5/0.1", "entropy:0.1..0.5/0.1/2"})
    test::expect_error<ConfigError>([&] { (void)parse_policy_grid(text); },
                                    {text, "LOW..HIGH/STEP"});
  test::expect_error<ConfigError>([] { (void)parse_policy_grid("entropy:0..1/0"); }, {"step"});
  test::expect_error<ConfigError>([] { (void)parse_policy_grid("entropy:0.1||0.2"); }, {"number"});
  test::expect_error<ConfigError>([] { (void)parse_policy_grid("entropy:|"); }, {"number"});
  test::expect_error<ConfigError>([] { (void)parse_policy_grid("entropy:0..1/0.0000001"); },
                                  {"1000000"});
  test::expect_error<ConfigError>(
      [] { (void)parse_policy_grid("entropy:0..1/0.0001+0..1/0.0001"); }, {"1000000"});
}

}  // namespace
}  // namespace branchy
