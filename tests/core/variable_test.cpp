#include "core/variable.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <utility>

#include "core/buffer_pool.h"
#include "core/error.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

Tensor scalar(float value) { return Tensor::full(Shape{}, value); }

/// factor * x; `saved` lives as long as the node may still be differentiated.
Variable scaled(const Variable& x, float factor, std::shared_ptr<int> saved = nullptr) {
  return record("scaled", scalar(factor * x.value().item()), {x},
                [factor, saved](const Tensor& diff, Wanted /*wanted*/) {
                  return std::vector<Tensor>{scalar(factor * diff.item())};
                });
}

Variable product(const Variable& a, const Variable& b) {
  const float x = a.value().item();
  const float y = b.value().item();
  return record("product", scalar(x * y), {a, b}, [x, y](const Tensor& diff, Wanted wanted) {
    std::vector<Tensor> diffs(2);
    if (wanted[0]) diffs[0] = scalar(diff.item() * y);
    if (wanted[1]) diffs[1] = scalar(diff.item() * x);
    return diffs;
  });
}

TEST(Variable, FollowsTheChainRule) {
  const Variable x(scalar(3.0F), true);
  const Variable y(scalar(5.0F), true);
  scaled(product(x, y), 2.0F).backward();
  EXPECT_EQ(x.grad().item(), 10.0F);
  EXPECT_EQ(y.grad().item(), 6.0F);
}

TEST(Variable, AddsTheGradientsOfSeveralConsumers) {
  const Variable x(scalar(3.0F), true);
  const Variable shared = scaled(x, 2.0F);
  product(shared, shared).backward();  // (2 x)^2
  EXPECT_EQ(x.grad().item(), 24.0F);
  const Variable diamond(scalar(2.0F), true);
  const Variable left = scaled(diamond, 3.0F);
  const Variable right = scaled(scaled(scaled(diamond, 1.0F), 1.0F), 5.0F);
  product(left, right).backward();  // 15 x^2
  EXPECT_EQ(diamond.grad().item(), 60.0F);
}

TEST(Variable, AddsTheGradientsOfSeveralCallsUntilCleared) {
  Variable x(scalar(1.0F), true);
  scaled(x, 2.0F).backward();
  scaled(x, 5.0F).backward();
  EXPECT_EQ(x.grad().item(), 7.0F);
  x.clear_grad();
  EXPECT_FALSE(x.grad().defined());
  scaled(x, 4.0F).backward();
  EXPECT_EQ(x.grad().item(), 4.0F);
}

TEST(Variable, NeverWritesIntoAGradientThatOthersHold) {
  const Variable x(scalar(1.0F), true);
  const Tensor diff = scalar(3.0F);
  const Variable same = record("same", scalar(1.0F), {x, x}, [](const Tensor& d, Wanted) {
    return std::vector<Tensor>{d, d};
  });
  same.backward(diff);
  EXPECT_EQ(x.grad().item(), 6.0F);
  EXPECT_EQ(diff.item(), 3.0F);
  // A copy, which later gradients must not change.
  const Tensor kept = x.grad();  // NOLINT(performance-unnecessary-copy-initialization)
  scaled(x, 1.0F).backward();
  EXPECT_EQ(kept.item(), 6.0F);
  EXPECT_EQ(x.grad().item(), 7.0F);
}

TEST(Variable, GivesNoGradientToConstants) {
  const Variable x(scalar(3.0F), true);
  const Variable constant(scalar(4.0F));
  product(x, constant).backward();
  EXPECT_EQ(x.grad().item(), 4.0F);
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_FALSE(product(constant, constant).tracks());
}

TEST(Variable, RecordsNothingUnderNoGradGuard) {
  const Variable x(scalar(3.0F), true);
  {
    const NoGradGuard outer;
    {
      const NoGradGuard inner;
      EXPECT_FALSE(scaled(x, 2.0F).tracks());
    }
    EXPECT_FALSE(is_recording());
    EXPECT_FALSE(scaled(x, 2.0F).tracks());
  }
  EXPECT_TRUE(is_recording());
  EXPECT_TRUE(scaled(x, 2.0F).tracks());
}

TEST(Variable, RefusesToConsumeAGraphTwice) {
  const Variable x(scalar(3.0F), true);
  const Variable middle = scaled(x, 2.0F);
  const Variable y = scaled(middle, 2.0F);
  y.backward();
  EXPECT_THROW(y.backward(), std::logic_error);
  EXPECT_THROW(scaled(middle, 1.0F).backward(), std::logic_error);
  EXPECT_EQ(x.grad().item(), 4.0F) << "a refused call changes nothing";
}

TEST(Variable, StartsFromScalarsOnly) {
  const Variable x(Tensor::zeros(Shape{2, 3}), true);
  test::expect_error<ShapeError>([&] { x.backward(); }, {"[2,3]", "scalar"});
  test::expect_error<ShapeError>([&] { x.backward(scalar(1.0F)); }, {"[2,3]"});
}

TEST(Variable, NamesAnOperationWhoseBackwardIsWrong) {
  const Variable x(scalar(1.0F), true);
  const Variable y = record("broken", scalar(1.0F), {x}, [](const Tensor&, Wanted) {
    return std::vector<Tensor>{Tensor::zeros(Shape{2})};
  });
  test::expect_error<std::logic_error>([&] { y.backward(); }, {"[broken]", "input 0"});
}

TEST(Variable, HandlesChainsFarDeeperThanTheStack) {
  constexpr int kDepth = 100000;
  const Variable x(scalar(1.0F), true);
  Variable y = x;
  for (int i = 0; i < kDepth; ++i) y = scaled(y, 1.0F);
  y.backward();
  EXPECT_EQ(x.grad().item(), 1.0F);
  Variable unused = x;
  for (int i = 0; i < kDepth; ++i) unused = scaled(unused, 1.0F);
  unused = Variable();  // destroyed without a backward
  SUCCEED();
}

TEST(Variable, ReleasesSavedDataWhileBackwardRuns) {
  const Variable x(scalar(1.0F), true);
  const auto saved = std::make_shared<int>(0);
  long early_uses = 0;
  const Variable first =
      record("first", scalar(1.0F), {x}, [&early_uses, saved](const Tensor& diff, Wanted) {
        early_uses = saved.use_count();
        return std::vector<Tensor>{diff};
      });
  const Variable middle = scaled(first, 1.0F, saved);
  const Variable last = scaled(middle, 1.0F, saved);
  last.backward();
  EXPECT_EQ(early_uses, 2) << "the nodes behind `first` should have let go: this test and `first`";
  EXPECT_EQ(saved.use_count(), 1);
}

TEST(Variable, KeepsNoActivationThatBackwardDoesNotNeed) {
  const Shape large{1 << 20};
  const Variable x(Tensor::zeros(large), true);
  const auto identity = [](const Variable& v) {
    return record("identity", v.value().clone(), {v},
                  [](const Tensor& diff, Wanted) { return std::vector<Tensor>{diff}; });
  };
  buffer_pool::trim();
  const std::int64_t before = buffer_pool::bytes_reserved();
  Variable y = x;
  for (int i = 0; i < 10; ++i) y = identity(y);
  EXPECT_LE(buffer_pool::bytes_reserved() - before, 2 * 4 * large.size() + 65536);
  y.backward(Tensor::zeros(large));
}

}  // namespace
}  // namespace branchy
