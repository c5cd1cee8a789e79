#include "infer/link_estimate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace branchy {
namespace {

TEST(LinkEstimate, KnowsNothingBeforeTheFirstExchange) {
  const LinkEstimate link;
  EXPECT_FALSE(link.bits_per_second());
  EXPECT_FALSE(link.round_trip_ms());
}

TEST(LinkEstimate, TellsRoundTripAndBandwidthApart) {
  LinkEstimate link;
  link.add_round_trip(5);
  for (const std::int64_t bytes : {1000, 50'000, 3000})
    link.add_transfer(bytes, 5 + 1000.0 * 8 * static_cast<double>(bytes) / 2e6);
  EXPECT_NEAR(*link.bits_per_second(), 2e6, 1);
  EXPECT_EQ(*link.round_trip_ms(), 5);
}

TEST(LinkEstimate, FollowsAChangeAndForgetsAWrongMoment) {
  LinkEstimate link;
  const auto transfer = [&](double bits_per_second) {
    link.add_transfer(10'000, 1000.0 * 80'000 / bits_per_second);
  };
  for (int i = 0; i < 20; ++i) transfer(1e7);
  EXPECT_NEAR(*link.bits_per_second(), 1e7, 1e3);
  transfer(1e5);  // a stall
  EXPECT_LT(*link.bits_per_second(), 1e6);
  for (int i = 0; i < 30; ++i) transfer(1e7);
  EXPECT_NEAR(*link.bits_per_second(), 1e7, 3e5);
  for (int i = 0; i < 20; ++i) link.add_round_trip(3);
  link.add_round_trip(11);
  EXPECT_NEAR(*link.round_trip_ms(), 4, 1e-9);
}

TEST(LinkEstimate, ATransferWithinTheRoundTripIsFastNotInfinite) {
  LinkEstimate link;
  link.add_round_trip(5);
  link.add_transfer(1000, 4);
  ASSERT_TRUE(link.bits_per_second());
  EXPECT_NEAR(*link.bits_per_second(), 8e6 / LinkEstimate::kShortestMs, 1);
  link.add_transfer(0, 4);
  EXPECT_NEAR(*link.bits_per_second(), 8e6 / LinkEstimate::kShortestMs, 1);
}

TEST(LinkEstimate, RefusesWhatIsNoTime) {
  LinkEstimate link;
  EXPECT_THROW(link.add_round_trip(-1), ConfigError);
  EXPECT_THROW(link.add_round_trip(std::nan("")), ConfigError);
  EXPECT_THROW(link.add_transfer(1, INFINITY), ConfigError);
  EXPECT_THROW(link.add_transfer(-1, 1), ConfigError);
}

}  // namespace
}  // namespace branchy
