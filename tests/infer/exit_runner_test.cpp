// The runner's invariants on ResNet44: resuming, cutting and batching change nothing.
#include "infer/exit_runner.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/buffer_pool.h"
#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;
using test::random_tensor;
using test::same_bits;

class ExitRunnerTest : public testing::Test {
 protected:
  static Tensor images(std::int64_t count) {
    Rng rng(5);
    return random_tensor({count, 3, 32, 32}, rng, -2.0F, 2.0F);
  }

  std::vector<Tensor> all_exits(const std::shared_ptr<const Plan>& plan, const Tensor& src) {
    ExitRunner runner(plan);
    runner.start(src);
    std::vector<Tensor> logits;
    while (runner.has_next()) logits.push_back(runner.next_exit().logits);
    return logits;
  }

  std::unique_ptr<MultiExitNetwork> network_ = test::lived_in_network(3);
  std::shared_ptr<const Plan> plan_ = Plan::lower(*network_, network_->whole());
};

TEST_F(ExitRunnerTest, AgreesWithForwardInEvaluationMode) {
  const Tensor src = images(3);
  const NoGradGuard no_grad;
  const auto expected = network_->forward(Variable(src.clone()), {.mode = Mode::kEval});
  const auto logits = all_exits(plan_, src);
  ASSERT_EQ(logits.size(), 4U);
  for (std::size_t i = 0; i < logits.size(); ++i)
    EXPECT_LT(test::largest_error(logits[i], expected[i].value().data()), 1e-4) << "exit " << i + 1;
}

TEST_F(ExitRunnerTest, ExitsOneByOneEqualTheLastAtOnce) {
  const Tensor src = images(2);
  const auto one_by_one = all_exits(plan_, src);
  ExitRunner runner(plan_);
  runner.start(src);
  EXPECT_TRUE(same_bits(one_by_one[3], runner.run_to(4).logits));
  EXPECT_FALSE(runner.has_next());
  NetworkPart last_only = network_->whole();
  last_only.first_exit = 4;
  EXPECT_TRUE(same_bits(one_by_one[3], all_exits(Plan::lower(*network_, last_only), src)[0]));
}

TEST_F(ExitRunnerTest, PrefixAndFeatureAndSuffixEqualTheWholeAtEveryCut) {
  const Tensor src = images(2);
  const auto expected = all_exits(plan_, src);
  const NetworkPart whole = network_->whole();
  for (std::int64_t cut = 0; cut <= whole.end_block; ++cut) {
    std::int64_t early = 0;
    while (early < whole.last_exit - 1 && network_->exit(early + 1).after_block <= cut) ++early;
    ExitRunner prefix(Plan::lower(*network_, {0, cut, 1, early}));
    ExitRunner suffix(Plan::lower(*network_, {cut, whole.end_block, early + 1, whole.last_exit}));
    prefix.start(src);
    std::vector<Tensor> logits;
    while (prefix.has_next()) logits.push_back(prefix.next_exit().logits);
    const Tensor feature = prefix.feature();
    EXPECT_EQ(feature.shape(), network_->feature_shape(cut).with_batch(2));
    suffix.start(feature);
    while (suffix.has_next()) logits.push_back(suffix.next_exit().logits);
    ASSERT_EQ(logits.size(), expected.size()) << "cut " << cut;
    for (std::size_t i = 0; i < logits.size(); ++i)
      EXPECT_TRUE(same_bits(expected[i], logits[i])) << "cut " << cut << ", exit " << i + 1;

    ExitRunner resumed(plan_);  // a whole plan answers features too
    resumed.start_after(cut, feature);
    EXPECT_TRUE(same_bits(expected[3], resumed.run_to(4).logits)) << "cut " << cut;
  }
}

// Samples are computed one by one, each by one thread or by all of them: kernels must give the same
// bits with any number of threads.
TEST_F(ExitRunnerTest, ABatchGivesTheBitsOfItsSamples) {
  const Tensor src = images(33);
  const auto batch = all_exits(plan_, src);
  for (std::int64_t n = 0; n < 33; ++n) {
    const auto single = all_exits(plan_, test::sample(src, n));
    for (std::size_t i = 0; i < batch.size(); ++i)
      EXPECT_TRUE(test::same_bits(single[i], test::sample(batch[i], n)))
          << "sample " << n << ", exit " << i + 1;
  }
}

TEST_F(ExitRunnerTest, ARunnerKeepsNothingOfTheRequestBefore) {
  ExitRunner runner(plan_);
  const auto run = [&](const Tensor& src) {
    runner.start(src);
    return runner.run_to(4).logits;
  };
  const Tensor first = run(images(2));
  run(images(7));
  runner.start(images(1));
  runner.next_exit();
  EXPECT_TRUE(same_bits(first, run(images(2))));
}

TEST_F(ExitRunnerTest, FeatureLeavesOutRemainingExits) {
  ExitRunner runner(plan_);
  runner.start(images(1));
  EXPECT_EQ(runner.next_exit().exit, 1);
  const Tensor feature = runner.feature();
  EXPECT_FALSE(runner.has_next());
  EXPECT_TRUE(same_bits(feature, runner.feature()));
}

TEST_F(ExitRunnerTest, ValuesOnTheWayAreThoseOfAPrefixAndChangeNothingBehindThem) {
  const Tensor src = images(2);
  const auto expected = all_exits(plan_, src);
  for (const std::int64_t depth : {0, 1, 2, 5, 7, 9, 22}) {
    ExitRunner prefix(Plan::lower(*network_, {0, depth, 1, 0}));
    prefix.start(src);
    const Tensor value = prefix.feature();
    ExitRunner runner(plan_);
    runner.start(src);
    EXPECT_TRUE(same_bits(value, runner.value_after(depth))) << "depth " << depth;
    EXPECT_TRUE(same_bits(value, runner.value_after(depth))) << "depth " << depth << ", again";
    while (runner.has_next()) {
      const ExitOutput output = runner.next_exit();
      EXPECT_GE(plan_->exit_depth(output.exit), depth);
      EXPECT_TRUE(same_bits(expected[static_cast<std::size_t>(output.exit - 1)], output.logits))
          << "depth " << depth << ", exit " << output.exit;
    }
  }
}

TEST_F(ExitRunnerTest, TheValueBehindAnExitIsStillThereAfterIt) {
  const Tensor src = images(2);
  const auto expected = all_exits(plan_, src);
  ExitRunner runner(plan_);
  runner.start(src);
  runner.run_to(2);
  const Tensor value = runner.value_after(plan_->exit_depth(2));
  EXPECT_EQ(runner.next_exit().exit, 3) << "exit 2 is not ahead again";
  ExitRunner other(plan_);
  other.start_after(plan_->exit_depth(2), value);
  EXPECT_TRUE(same_bits(expected[2], other.run_to(3).logits));
  expect_error<Error>([&] { runner.value_after(plan_->exit_depth(2)); },
                      {"after 5", "behind 9 of 22"});
  expect_error<Error>([&] { runner.value_after(99); }, {"after 99", "of 22"});
  expect_error<Error>([&] { ExitRunner(plan_).value_after(0); }, {"call start first"});
}

TEST_F(ExitRunnerTest, AsksTheSystemForNoMemoryAfterTheFirstRequest) {
  ExitRunner runner(plan_);
  const Tensor src = images(4);
  const auto request = [&] {
    runner.start(src);
    while (runner.has_next()) runner.next_exit();
    runner.feature();
  };
  request();
  const std::int64_t before = buffer_pool::num_system_allocations();
  for (int i = 0; i < 3; ++i) request();
  EXPECT_EQ(buffer_pool::num_system_allocations(), before);
}

TEST_F(ExitRunnerTest, ReordersHardlyAnyActivation) {
  ExitRunner runner(plan_);
  const Tensor src = images(1);
  const auto request = [&] {
    runner.start(src);
    while (runner.has_next()) runner.next_exit();
  };
  request();
  const std::int64_t before = dnn::num_reorders();
  request();
  EXPECT_LE(dnn::num_reorders() - before, 1);
}

TEST_F(ExitRunnerTest, RunnersOnSeveralThreadsShareAPlan) {
  const Tensor src = images(2);
  const auto expected = all_exits(plan_, src);
  std::vector<std::thread> threads;
  std::vector<char> same(3, 0);
  for (char& result : same)
    threads.emplace_back(
        [&] { result = same_bits(all_exits(plan_, src)[3], expected[3]) ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<char>(3, 1));
}

TEST_F(ExitRunnerTest, RefusesSourcesOfAnotherShape) {
  ExitRunner runner(plan_);
  expect_error<ShapeError>(
      [&] {
        runner.start(Tensor::zeros({1, 3, 28, 28}));
      },
      {"[1,3,28,28]", "[1,3,32,32]"});
  expect_error<ShapeError>([&] { runner.start(Tensor::zeros({3, 32, 32})); }, {"[3,32,32]"});
  expect_error<ShapeError>([&] { runner.start(Tensor()); }, {"undefined"});
  expect_error<ShapeError>([&] { runner.start(Tensor::zeros({0, 3, 32, 32})); }, {"[0,3,32,32]"});
  expect_error<ConfigError>([&] { runner.start_after(99, Tensor::zeros({1, 3, 32, 32})); }, {"99"});
}

TEST_F(ExitRunnerTest, RefusesToGoWhereNoExitIsAhead) {
  ExitRunner runner(plan_);
  EXPECT_FALSE(runner.has_next());
  expect_error<Error>([&] { runner.next_exit(); }, {"no exit is ahead"});
  expect_error<Error>([&] { runner.feature(); }, {"call start first"});
  runner.start(images(1));
  runner.run_to(2);
  expect_error<Error>([&] { runner.run_to(1); }, {"exit 1"});
  expect_error<Error>([&] { runner.run_to(5); }, {"exit 5"});
}

}  // namespace
}  // namespace branchy
