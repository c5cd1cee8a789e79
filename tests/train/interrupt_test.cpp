#include "train/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace branchy {
namespace {

TEST(Interrupt, TheFirstSignalAsksOfEitherKind) {
  for (const int number : {SIGINT, SIGTERM}) {
    const Interrupt interrupt;
    EXPECT_FALSE(Interrupt::requested());
    std::raise(number);
    EXPECT_TRUE(Interrupt::requested());
  }
}

TEST(InterruptDeathTest, ASecondSignalOfEitherKindEndsTheProcess) {
  for (const int first : {SIGINT, SIGTERM})
    for (const int second : {SIGINT, SIGTERM})
      EXPECT_EXIT(
          {
            const Interrupt interrupt;
            std::raise(first);
            std::raise(second);
            std::_Exit(0);
          },
          testing::KilledBySignal(second), "");
}

}  // namespace
}  // namespace branchy
