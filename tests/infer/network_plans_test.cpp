// Every network, lowered: the plan agrees with the training graph, whole and cut in two.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "infer/exit_runner.h"
#include "tests/infer/plan_fixtures.h"

namespace branchy {
namespace {

struct Case {
  std::string label;
  NetworkConfig config;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.label; }

class NetworkPlans : public testing::TestWithParam<Case> {
 protected:
  static Tensor source(const MultiExitNetwork& network, std::int64_t batch = 2) {
    Rng rng(5);
    return test::random_tensor(network.input_shape().with_batch(batch), rng, -2.0F, 2.0F);
  }

  static std::vector<Tensor> exits_of(ExitRunner& runner) {
    std::vector<Tensor> logits;
    while (runner.has_next()) logits.push_back(runner.next_exit().logits);
    return logits;
  }
};

TEST_P(NetworkPlans, AgreeWithForwardInEvaluationMode) {
  const auto network = test::lived_in_network(GetParam().config);
  const Tensor src = source(*network);
  const NoGradGuard no_grad;
  const auto expected = network->forward(Variable(src.clone()), {.mode = Mode::kEval});
  ExitRunner runner(Plan::lower(*network, network->whole()));
  runner.start(src);
  const auto logits = exits_of(runner);
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    EXPECT_EQ(logits[i].shape(), expected[i].shape());
    EXPECT_LT(test::largest_error(logits[i], expected[i].value().data()), 1e-3) << "exit " << i + 1;
  }
}

TEST_P(NetworkPlans, CutInTwoGiveTheBitsOfTheWhole) {
  const auto network = test::lived_in_network(GetParam().config);
  const NetworkPart whole = network->whole();
  const Tensor src = source(*network);
  ExitRunner unsplit(Plan::lower(*network, whole));
  unsplit.start(src);
  const auto expected = exits_of(unsplit);
  // Behind the last early exit, as the papers cut; in the middle where there is none.
  const std::int64_t early = network->num_exits() - 1;
  const std::int64_t cut = early > 0 ? network->exit(early).after_block : whole.end_block / 2;
  ExitRunner prefix(Plan::lower(*network, {0, cut, 1, early}));
  ExitRunner suffix(Plan::lower(*network, {cut, whole.end_block, early + 1, whole.last_exit}));
  prefix.start(src);
  std::vector<Tensor> logits = exits_of(prefix);
  suffix.start(prefix.feature());
  for (const Tensor& tensor : exits_of(suffix)) logits.push_back(tensor);
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    EXPECT_TRUE(test::same_bits(expected[i], logits[i])) << "exit " << i + 1;
}

// Networks of up to 2^22 weights compute samples one by one, whatever the batch. Larger ones take
// other kernels for larger batches; their sums are rounded otherwise.
TEST_P(NetworkPlans, ABatchGivesWhatItsSamplesGiveAlone) {
  const auto network = test::lived_in_network(GetParam().config);
  const auto plan = Plan::lower(*network, network->whole());
  constexpr std::int64_t kBatch = 5;
  const Tensor src = source(*network, kBatch);
  ExitRunner runner(plan);
  runner.start(src);
  const auto batch = exits_of(runner);
  for (std::int64_t n = 0; n < kBatch; ++n) {
    runner.start(test::sample(src, n));
    const auto single = exits_of(runner);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Tensor row = test::sample(batch[i], n);
      if (plan->computes_alone(kBatch))
        EXPECT_TRUE(test::same_bits(single[i], row)) << "sample " << n << ", exit " << i + 1;
      else
        EXPECT_LT(test::largest_error(row, single[i].data()), 1e-5)
            << "sample " << n << ", exit " << i + 1;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, NetworkPlans,
    testing::Values(
        Case{"alexnet", {"alexnet", 10, 2, {}}},
        Case{"vgg16_bn_light", {"vgg16_bn", 10, 2, {{"exit", "light"}}}},
        Case{"resnet44_flatten", {"resnet44", 10, 2, {{"exit", "flatten"}}}},
        Case{"mobilenet_v2", {"mobilenet_v2", 17, 5, {{"input", "96"}, {"width", "0.5"}}}},
        Case{"mobilenet_v2_cifar", {"mobilenet_v2", 10, 3, {{"input", "32"}}}},
        Case{"cnn9", {"cnn9", 10, 8, {}}},
        Case{"cnn9_sem",
             {"cnn9", 10, 1, {{"exit-after", "3"}, {"skips", "residual"}, {"pool", "max"}}}},
        Case{"predictor", {"exit_predictor", 2, 0, {}}},
        Case{"predictor_plain", {"exit_predictor", 2, 0, {{"kind", "plain"}}}},
        Case{"predictor_fc", {"exit_predictor", 2, 0, {{"kind", "fc"}}}},
        Case{"predictor_lenet", {"exit_predictor", 2, 0, {{"kind", "lenet"}}}},
        Case{"predictor_feature", {"exit_predictor", 2, 0, {{"kind", "feature"}}}},
        Case{"predictor_photos",
             {"exit_predictor", 5, 0, {{"kind", "feature"}, {"channels", "24"}, {"size", "56"}}}},
        Case{"codec", {"feature_codec", 10, 0, {}}}),
    [](const auto& instance) { return instance.param.label; });

}  // namespace
}  // namespace branchy
