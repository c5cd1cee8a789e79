#include "train/exit_losses.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "layers/distillation_loss.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

class ExitLossesTest : public ::testing::Test {
 protected:
  ExitLossesTest() {
    for (const std::uint64_t seed : {1, 2, 3})
      logits_.emplace_back(test::random_tensor(Shape{4, 5}, seed), true);
  }

  const std::vector<std::int64_t> labels_{0, 3, 4, 1};
  std::vector<Variable> logits_;
};

TEST_F(ExitLossesTest, AreCrossEntropiesWithoutDistillation) {
  RecipeOptions recipe;
  recipe.label_smoothing = 0.1;
  const auto losses = exit_losses(logits_, labels_, recipe);
  ASSERT_EQ(losses.size(), 3U);
  for (std::size_t i = 0; i < losses.size(); ++i)
    EXPECT_EQ(losses[i].value().item(),
              softmax_cross_entropy(logits_[i], labels_, 0.1F).value().item());
}

TEST_F(ExitLossesTest, MixInTheTeachersAnswersAtEarlyExitsAlone) {
  RecipeOptions recipe;
  recipe.distill = 0.3;
  recipe.distill_temperature = 2.0;
  const auto losses = exit_losses(logits_, labels_, recipe);
  for (std::size_t i = 0; i < 2; ++i) {
    const double ce = softmax_cross_entropy(logits_[i], labels_).value().item();
    const double kl = distillation_loss(logits_[i], logits_[2].value(), 2.0F).value().item();
    EXPECT_NEAR(losses[i].value().item(), 0.7 * ce + 0.3 * kl, 1e-6);
  }
  EXPECT_EQ(losses[2].value().item(), softmax_cross_entropy(logits_[2], labels_).value().item());
}

TEST_F(ExitLossesTest, SendNoGradientToTheTeacher) {
  RecipeOptions recipe;
  recipe.distill = 0.9;
  const std::vector<float> weights{1.0F, 1.0F, 1.0F};
  weighted_sum(exit_losses(logits_, labels_, recipe), weights).backward();
  const Variable alone(logits_[2].value().clone(), true);
  softmax_cross_entropy(alone, labels_).backward();
  EXPECT_TRUE(std::ranges::equal(logits_[2].grad().data(), alone.grad().data()));
}

}  // namespace
}  // namespace branchy
