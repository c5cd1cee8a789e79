// Learning as a whole: a small multi-exit problem is learnt, and the thread count hardly matters.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/threads.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/sgd.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

constexpr std::int64_t kImages = 16;

/// Noise, brighter at the left for class 0 and at the right for class 1.
struct TwoClasses {
  Tensor images = test::random_tensor(Shape{kImages, 3, 32, 32}, 40);
  std::vector<std::int64_t> labels;

  TwoClasses() {
    const auto pixels = images.mutable_data();
    for (std::int64_t n = 0; n < kImages; ++n) {
      labels.push_back(n % 2);
      for (std::int64_t i = 0; i < 3 * 32 * 32; ++i)
        if ((i % 32 < 16) == (n % 2 == 0))
          pixels[static_cast<std::size_t>(n * 3 * 32 * 32 + i)] += 0.5F;
    }
  }
};

class Learner {
 public:
  Learner() {
    std::vector<OptimizedParameter> parameters;
    for (const StateEntry& entry : network_->state())
      if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable, entry.decays});
    sgd_ = std::make_unique<Sgd>(parameters, SgdParams{.momentum = 0.9F});
  }

  /// One step on all images; gives the loss before it.
  float step() {
    const Variable loss = total_loss(network_->forward(Variable(data_.images), {Mode::kTrain, 0}));
    sgd_->clear_gradients();
    loss.backward();
    sgd_->step(0.02F);
    return loss.value().item();
  }

  /// Lets the running statistics catch up with the weights, which moved fast.
  void settle() {
    const NoGradGuard guard;
    for (int pass = 0; pass < 40; ++pass)
      network_->forward(Variable(data_.images), {Mode::kTrain, 0});
  }

  /// Correct answers of each exit in evaluation mode.
  std::vector<std::int64_t> num_correct() {
    const NoGradGuard guard;
    std::vector<std::int64_t> counts;
    for (const Variable& logits : network_->forward(Variable(data_.images), {Mode::kEval, 0})) {
      std::int64_t& correct = counts.emplace_back(0);
      for (std::size_t n = 0; n < data_.labels.size(); ++n) {
        const auto row = logits.value().data().subspan(2 * n, 2);
        correct += (row[1] > row[0]) == (data_.labels[n] == 1) ? 1 : 0;
      }
    }
    return counts;
  }

 private:
  Variable total_loss(const std::vector<Variable>& logits) {
    std::vector<Variable> losses;
    for (const Variable& exit_logits : logits)
      losses.push_back(softmax_cross_entropy(exit_logits, data_.labels));
    return weighted_sum(losses, std::vector<float>(losses.size(), 1.0F));
  }

  TwoClasses data_;
  Rng rng_{11};
  std::unique_ptr<MultiExitNetwork> network_ =
      make_network({.name = "resnet44", .classes = 2, .early_exits = 2}, rng_);
  std::unique_ptr<Sgd> sgd_;
};

TEST(Overfit, EveryExitLearnsTwoClassesByHeart) {
  set_num_threads(1);
  Learner learner;
  int steps = 0;
  while (learner.step() > 0.1F) ASSERT_LT(++steps, 100);
  learner.settle();
  EXPECT_EQ(learner.num_correct(), std::vector<std::int64_t>(3, kImages));
}

// Sums are split differently over threads, so single-precision results differ in the last bits and
// the difference grows with every step. Stated bound: 1e-4 relative in the losses of three steps.
TEST(Threads, ChangeLossesByLessThanTheStatedBound) {
  if (num_available_cpus() < 2) GTEST_SKIP() << "one CPU";
  const auto losses_with = [](std::int64_t threads) {
    set_num_threads(threads);
    Learner learner;
    return std::vector<float>{learner.step(), learner.step(), learner.step()};
  };
  const std::vector<float> one = losses_with(1);
  const std::vector<float> two = losses_with(2);
  const std::vector<float> again = losses_with(2);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_NEAR(two[i], one[i], 1e-4F * one[i]) << i;
    EXPECT_EQ(two[i], again[i]) << "the same count gives the same bits, step " << i;
  }
}

}  // namespace
}  // namespace branchy
