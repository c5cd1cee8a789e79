#include "infer/result_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/error.h"

namespace branchy {
namespace {

EdgeResult image(std::int64_t index) {
  EdgeResult result;
  result.index = index;
  return result;
}

TEST(ResultOrder, HandsOnInTheOrderOfTheImages) {
  std::vector<std::int64_t> found;
  ResultOrder order(true, 10, [&](const EdgeResult& result) { found.push_back(*result.index); });
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(order.begin(), i);
  order.add(1, image(1));
  order.add(3, image(3));
  EXPECT_TRUE(found.empty());
  order.add(0, image(0));
  EXPECT_EQ(found, (std::vector<std::int64_t>{0, 1}));
  order.add(2, image(2));
  EXPECT_EQ(found, (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST(ResultOrder, HandsOnAsTheyComeWhenAsked) {
  std::vector<std::int64_t> found;
  ResultOrder order(false, 1, [&](const EdgeResult& result) { found.push_back(*result.index); });
  for (std::int64_t i = 0; i < 3; ++i) (void)order.begin();
  for (const std::int64_t i : {2, 0, 1}) order.add(i, image(i));
  EXPECT_EQ(found, (std::vector<std::int64_t>{2, 0, 1}));
}

TEST(ResultOrder, HoldsTheSourceBackWhenTooManyWait) {
  ResultOrder order(true, 2, [](const EdgeResult&) {});
  for (int i = 0; i < 3; ++i) (void)order.begin();
  order.add(1, image(1));
  order.add(2, image(2));
  std::atomic<bool> has_begun = false;
  std::thread source([&] {
    EXPECT_EQ(order.begin(), 3);
    has_begun = true;
  });
  EXPECT_FALSE(has_begun);
  order.add(0, image(0));
  source.join();
  EXPECT_TRUE(has_begun);
}

TEST(ResultOrder, WhatTheSinkThrowsReachesTheSource) {
  ResultOrder order(true, 2, [](const EdgeResult&) { throw IoError("[out] full"); });
  order.add(order.begin(), image(0));
  EXPECT_THROW((void)order.begin(), IoError);
  EXPECT_THROW(order.check(), IoError);
}

}  // namespace
}  // namespace branchy
