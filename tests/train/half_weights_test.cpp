#include "train/half_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "infer/exit_runner.h"
#include "infer/plan_graph.h"
#include "infer/program.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

/// Its linear layers have 512 x 1100, 1100 x 1100 and 1100 x 10 weights.
NetworkConfig vgg() {
  return {.name = "vgg16_bn", .classes = 10, .early_exits = 2, .options = {{"hidden", "1100"}}};
}

std::vector<Tensor> logits_of(const MultiExitNetwork& network, const Tensor& images) {
  ExitRunner runner(Plan::lower(network, network.whole()));
  runner.start(images);
  std::vector<Tensor> logits;
  while (runner.has_next()) logits.push_back(runner.next_exit().logits);
  return logits;
}

TEST(HalfWeights, OfLargeLinearLayersChangeTheFinalLogitsALittleAndNothingElse) {
  const auto network = test::lived_in_network(vgg());
  Rng rng(5);
  const Tensor images = test::random_tensor({2, 3, 32, 32}, rng, -2.0F, 2.0F);
  const auto before = logits_of(*network, images);
  EXPECT_EQ(round_large_linear_layers(*network), 1100 * 1100);
  const auto after = logits_of(*network, images);
  EXPECT_TRUE(test::same_bits(before[0], after[0]));
  EXPECT_TRUE(test::same_bits(before[1], after[1]));
  EXPECT_FALSE(test::same_bits(before[2], after[2]));
  double largest = 0;
  double error = 0;
  for (std::size_t i = 0; i < before[2].data().size(); ++i) {
    largest = std::max(largest, std::abs(double{before[2].data()[i]}));
    error = std::max(error, std::abs(double{after[2].data()[i]} - double{before[2].data()[i]}));
  }
  EXPECT_LT(error / largest, 5e-4);
}

TEST(HalfWeights, AreKeptAsHalvesByThePlan) {
  const auto network = test::lived_in_network(vgg());
  const auto count = [&] {
    const auto plan = Plan::lower(*network, network->whole());
    const auto program = plan->program(1);
    return std::count_if(program->steps.begin(), program->steps.end(), [](const auto& step) {
      return step.primitive.implementation() == "own:linear_panels_f16";
    });
  };
  EXPECT_EQ(count(), 0);
  round_large_linear_layers(*network);
  EXPECT_EQ(count(), 1);
}

TEST(HalfWeights, RefuseWhatNoHalfCanHold) {
  const auto network = test::lived_in_network(vgg());
  for (StateEntry& entry : network->state())
    if (entry.variable->shape() == Shape{1100, 1100})
      entry.variable->mutable_value().mutable_data()[7] = 1e5F;
  test::expect_error<NumericError>([&] { round_large_linear_layers(*network); },
                                   {"[fp16]", "100000", "export it without"});
}

}  // namespace
}  // namespace branchy
