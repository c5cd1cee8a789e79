#include "infer/circuit_breaker.h"

#include <gtest/gtest.h>

namespace branchy {
namespace {

using std::chrono::milliseconds;
using Pass = CircuitBreaker::Pass;

CircuitBreaker::Clock::time_point at(int ms) {
  return CircuitBreaker::Clock::time_point(milliseconds(ms));
}

/// Open from 1000 ms on, for 100 ms.
CircuitBreaker opened() {
  CircuitBreaker breaker(milliseconds(100), milliseconds(300));
  for (int i = 0; i < 3; ++i) {
    const auto pass = breaker.enter(at(1000));
    EXPECT_TRUE(pass && !pass->is_trial);
    breaker.failed(*pass, at(1000));
  }
  return breaker;
}

TEST(CircuitBreaker, OpensAtTheThirdFailureInARow) {
  CircuitBreaker breaker(milliseconds(100), milliseconds(300));
  const Pass pass = *breaker.enter(at(1));
  breaker.failed(pass, at(1));
  breaker.failed(pass, at(2));
  breaker.succeeded(pass);
  breaker.failed(pass, at(3));
  breaker.failed(pass, at(4));
  EXPECT_TRUE(breaker.allows(at(4)));
  breaker.failed(pass, at(5));
  EXPECT_FALSE(breaker.allows(at(5)));
}

TEST(CircuitBreaker, LetsOneTrialOutAtATime) {
  CircuitBreaker breaker = opened();
  EXPECT_FALSE(breaker.enter(at(1099)));
  const auto trial = breaker.enter(at(1100));
  ASSERT_TRUE(trial && trial->is_trial);
  EXPECT_FALSE(breaker.enter(at(1100))) << "one is out";
  breaker.returned(*trial);
  const auto second = breaker.enter(at(1100));
  ASSERT_TRUE(second) << "the first one was not used";
  breaker.succeeded(*second);
  const auto pass = breaker.enter(at(1100));
  ASSERT_TRUE(pass);
  EXPECT_FALSE(pass->is_trial);
}

TEST(CircuitBreaker, PausesLongerWithEachFailedTrialAndForgetsAtSuccess) {
  CircuitBreaker breaker = opened();
  breaker.failed(*breaker.enter(at(1100)), at(1100));
  EXPECT_FALSE(breaker.allows(at(1299)));
  breaker.failed(*breaker.enter(at(1300)), at(1300));
  EXPECT_FALSE(breaker.allows(at(1599)));
  const auto trial = breaker.enter(at(1600));
  ASSERT_TRUE(trial) << "never longer than the longest pause";
  breaker.succeeded(*trial);
  for (int i = 0; i < 3; ++i) breaker.failed({}, at(1700));
  EXPECT_FALSE(breaker.allows(at(1799)));
  EXPECT_TRUE(breaker.allows(at(1800))) << "the first pause again";
}

TEST(CircuitBreaker, FailuresOfBeforeThePauseDoNotLengthenIt) {
  CircuitBreaker breaker = opened();
  for (int i = 0; i < 5; ++i) breaker.failed({.is_trial = false}, at(1050));
  EXPECT_TRUE(breaker.allows(at(1100)));
}

}  // namespace
}  // namespace branchy
