#include "core/step_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "core/kernels/elementwise.h"
#include "core/variable.h"

namespace branchy {
namespace {

void work_for(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

const StepProfile::Row* find(const StepProfile& profile, const std::string& owner, StepWork work,
                             Direction direction = Direction::kForward) {
  const auto& rows = profile.rows();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const StepProfile::Row& r) {
    return r.owner.name == owner && r.work == work && r.direction == direction;
  });
  return row == rows.end() ? nullptr : &*row;
}

double sum_of(const StepProfile& profile) {
  double sum = 0.0;
  for (const StepProfile::Row& row : profile.rows()) sum += row.seconds;
  return sum;
}

TEST(StepProfile, CountsNestedWorkForItselfAlone) {
  using namespace std::chrono_literals;
  StepProfile profile;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    const StepProfile::Step step(&profile);
    const OwnedWork layer("layer", "conv2d");
    const TimedWork convolution(StepWork::kConvolutionForward, {.flops = 5.0, .bytes = 7.0});
    work_for(2ms);
    const TimedWork reorder(StepWork::kReorder, floats_moved(3));
    work_for(4ms);
  }
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(profile.num_steps(), 3);
  const auto* convolution = find(profile, "layer", StepWork::kConvolutionForward);
  const auto* reorder = find(profile, "layer", StepWork::kReorder);
  ASSERT_NE(convolution, nullptr);
  ASSERT_NE(reorder, nullptr);
  EXPECT_EQ(convolution->calls, 3);
  EXPECT_EQ(convolution->owner.type, "conv2d");
  EXPECT_EQ(convolution->amount.flops, 15.0);
  EXPECT_EQ(convolution->amount.bytes, 21.0);
  EXPECT_EQ(reorder->amount.bytes, 36.0);
  EXPECT_GE(convolution->seconds, 0.006);
  EXPECT_GE(reorder->seconds, 0.012);
  EXPECT_LE(convolution->seconds, wall - reorder->seconds);
  EXPECT_LE(profile.seconds(), wall);
  EXPECT_GE(sum_of(profile), 0.95 * wall);
  EXPECT_LE(sum_of(profile), wall);
}

TEST(StepProfile, KeepsNothingOutsideOfAStep) {
  StepProfile profile;
  {
    const StepProfile::Step none(nullptr);
    const TimedWork work(StepWork::kNorm);
    EXPECT_EQ(current_work_owner(), nullptr);
  }
  const OwnedWork layer("layer", "conv2d");
  EXPECT_EQ(current_work_owner(), nullptr);
  EXPECT_TRUE(profile.rows().empty());
  EXPECT_EQ(profile.num_steps(), 0);
}

TEST(StepProfile, GivesBackwardWorkToTheLayerThatRecordedIt) {
  StepProfile profile;
  const Variable leaf(Tensor::full(Shape{4}, 1.0F), true);
  {
    const StepProfile::Step step(&profile);
    Variable value;
    {
      const OwnedWork layer("stem", "scale");
      value = record("scale", kernels::scale(leaf.value(), 2.0F), {leaf},
                     [](const Tensor& diff, Wanted) {
                       return std::vector<Tensor>{kernels::scale(diff, 2.0F)};
                     });
    }
    value.backward(Tensor::full(Shape{4}, 1.0F));
  }
  EXPECT_EQ(leaf.grad().data()[3], 2.0F);
  const auto* forward = find(profile, "stem", StepWork::kElementwise);
  const auto* backward = find(profile, "stem", StepWork::kElementwise, Direction::kBackward);
  ASSERT_NE(forward, nullptr);
  ASSERT_NE(backward, nullptr);
  EXPECT_EQ(backward->calls, 1);
  EXPECT_EQ(backward->amount.bytes, 32.0);
}

TEST(StepProfile, EndsWithTheStepThatThrows) {
  StepProfile profile;
  try {
    const StepProfile::Step step(&profile);
    const OwnedWork layer("layer", "conv2d");
    throw 1;
  } catch (int) {
  }
  const TimedWork work(StepWork::kNorm);
  EXPECT_EQ(find(profile, "", StepWork::kNorm), nullptr);
  EXPECT_EQ(profile.num_steps(), 1);
}

}  // namespace
}  // namespace branchy
