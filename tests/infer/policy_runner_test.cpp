// What the policy runner computes and counts, and what it refuses. That it agrees with the
// simulation on stored logits is tested in train.
#include "infer/policy_runner.h"

#include <gtest/gtest.h>

#include <utility>

#include "core/error.h"
#include "infer/policies/policy_text.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;
using test::lived_in_network;

const NetworkConfig kConfig{
    .name = "cnn9", .early_exits = 2, .options = {{"widths", "4,4,4"}, {"exit-after", "2,5"}}};

class PolicyRunnerTest : public testing::Test {
 protected:
  static Tensor images(std::int64_t count) {
    Rng rng(5);
    return test::random_tensor({count, 3, 32, 32}, rng, -2.0F, 2.0F);
  }
  std::unique_ptr<MultiExitNetwork> network_ = lived_in_network(kConfig);
  std::shared_ptr<const Plan> plan_ = Plan::lower(*network_, network_->whole());
  ExitCosts costs_ = exit_costs(*network_);
};

TEST_F(PolicyRunnerTest, CountsWhatASampleReallyWentThrough) {
  PolicyRunner runner(plan_, {.costs = costs_});
  const auto at = [&](const char* text) {
    return runner.run(images(2), *parse_policy(text, 3))[1];
  };
  const SampleOutcome first = at("fixed:1");
  EXPECT_EQ(first.exit, 1);
  EXPECT_EQ(first.computed, 0b001U);
  EXPECT_EQ(first.device_operations, costs_.trunk[0] + costs_.exit[0]);
  EXPECT_EQ(first.total_operations, first.device_operations);
  EXPECT_EQ(first.bytes_sent, 0);
  const SampleOutcome second = at("fixed:2");
  EXPECT_EQ(second.computed, 0b010U);
  EXPECT_EQ(second.device_operations, costs_.trunk[0] + costs_.trunk[1] + costs_.exit[1]);
  const SampleOutcome last = at("max-probability:1");
  EXPECT_EQ(last.exit, 3);
  EXPECT_EQ(last.computed, 0b111U);
  EXPECT_EQ(last.device_operations,
            costs_.trunk[0] + costs_.exit[0] + costs_.trunk[1] + costs_.exit[1]);
  EXPECT_EQ(last.total_operations, last.device_operations + costs_.trunk[2] + costs_.exit[2]);
  EXPECT_EQ(last.bytes_sent, 4 * network_->feature_shape(5).size());
}

TEST_F(PolicyRunnerTest, TemperaturesChangeTheExitButNoClass) {
  PolicyRunner plain(plan_, {.costs = costs_});
  const auto last = parse_policy("fixed:1", 3);
  const auto raw = plain.run(images(8), *last);
  PolicyRunner scaled(plan_, {.costs = costs_, .temperatures = {0.01F, 1.0F, 1.0F}});
  const auto sharp = scaled.run(images(8), *last);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    EXPECT_EQ(raw[i].answer.label, sharp[i].answer.label);
    EXPECT_GT(sharp[i].answer.confidence, raw[i].answer.confidence);
  }
}

TEST_F(PolicyRunnerTest, RefusesWhatItCannotExecute) {
  PolicyRunner runner(plan_, {.costs = costs_});
  const auto run = [&](const char* text) {
    return [&runner, text] { static_cast<void>(runner.run(images(1), *parse_policy(text, 3))); };
  };
  expect_error<ConfigError>(run("oracle:0.9"), {"oracle:0.9", "looks ahead"});
  expect_error<ConfigError>(run("predictor:0.9,gamma=0.5"), {"needs a predictor"});
  expect_error<ShapeError>(
      [&] {
        static_cast<void>(runner.run(Tensor::zeros({1, 3, 28, 28}), *parse_policy("fixed:1", 3)));
      },
      {"[1,3,28,28]"});
  expect_error<ConfigError>([&] { PolicyRunner(plan_, {.costs = {}}); }, {"costs of 0 exits"});
  expect_error<ConfigError>([&] { PolicyRunner(plan_, {.costs = costs_, .temperatures = {1.0F}}); },
                            {"1 temperatures for 3 exits"});
  expect_error<ConfigError>(
      [&] {
        PolicyRunner(plan_, {.costs = costs_, .temperatures = {1.0F, 0.0F, 1.0F}});
      },
      {"0 is not positive"});
  expect_error<ConfigError>(
      [&] {
        PolicyRunner(Plan::lower(*network_, {0, 5, 1, 0}), {.costs = costs_});
      },
      {"whole network"});
}

}  // namespace
}  // namespace branchy
