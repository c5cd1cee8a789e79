// The scores of an attached predictor: sigmoids of its logits, from the image or the trunk.
#include "infer/exit_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "core/error.h"
#include "infer/exit_costs.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using test::expect_error;
using test::lived_in_network;
using test::random_tensor;

class ExitScoresTest : public testing::Test {
 protected:
  /// A predictor of `outputs` scores.
  static Attachment predictor(std::int64_t outputs) {
    return whole_attachment(lived_in_network({.name = "exit_predictor",
                                              .classes = outputs,
                                              .early_exits = 0,
                                              .options = {{"kind", "fc"}}}));
  }
  static ModelInfo info() {
    ModelInfo info;
    info.config = {
        .name = "cnn9", .early_exits = 2, .options = {{"widths", "3,4,4"}, {"exit-after", "3,5"}}};
    return info;
  }
  static Tensor images() {
    Rng rng(5);
    return random_tensor({4, 3, 32, 32}, rng, -2.0F, 2.0F);
  }
};

TEST_F(ExitScoresTest, AreTheSigmoidsOfTheNetwork) {
  const Attachment attachment = predictor(2);
  ExitScores scores(attachment, info());
  EXPECT_EQ(scores.reads_after(), 0);
  const Tensor given = scores.scores(images());
  ASSERT_EQ(given.shape(), (Shape{4, 2}));
  const NoGradGuard no_grad;
  const auto logits =
      attachment.network->forward(Variable(images()), {.mode = Mode::kEval}).front().value();
  for (std::size_t i = 0; i < given.data().size(); ++i)
    EXPECT_NEAR(given.data()[i], 1.0 / (1.0 + std::exp(-double{logits.data()[i]})), 1e-5);
  // 3072 x 128 and 128 x 2 multiply-adds with biases, and the ReLU between.
  EXPECT_EQ(scores.operations(), 3072 * 128 + 128 + 128 + 128 * 2 + 2);
}

TEST_F(ExitScoresTest, ReadTheTrunksValueAtItsDepth) {
  const auto network = lived_in_network(info().config);
  // Block 2 of three channels at 32x32 has the shape of an image, so this predictor can read it.
  ModelInfo recorded = info();
  recorded.records["predictor.reads_after"] = "2";
  ExitScores scores(predictor(2), recorded);
  EXPECT_EQ(scores.reads_after(), 2);
  const auto plan = Plan::lower(*network, network->whole());
  ExitRunner trunk(plan);
  trunk.start(images());
  const Tensor value = trunk.value_after(2);
  const Tensor expected = scores.scores(value);
  trunk.start(images());
  EXPECT_TRUE(test::same_bits(scores.scores_at_start(trunk, images()), expected));
  EXPECT_FALSE(test::same_bits(scores.scores(images()), expected));
}

TEST_F(ExitScoresTest, RefusePredictorsThatDoNotFit) {
  expect_error<DataError>([] { ExitScores(predictor(3), info()); }, {"3 scores for 2 early exits"});
  for (const char* text : {"-1", "two", "1.5", ""}) {
    ModelInfo recorded = info();
    recorded.records["predictor.reads_after"] = text;
    expect_error<DataError>([&] { ExitScores(predictor(2), recorded); },
                            {"predictor.reads_after", text});
  }
  ModelInfo deep = info();
  deep.config.options["exit-after"] = "1,4";
  deep.records["predictor.reads_after"] = "2";
  const auto network = lived_in_network(deep.config);
  const ExitScores scores(predictor(2), deep);
  expect_error<DataError>(
      [&] { scores.require_before_exits(*Plan::lower(*network, network->whole())); },
      {"after 2 trunk blocks, exit 1 hangs on 1"});
  ExitScores usable(predictor(2), info());
  expect_error<ShapeError>(
      [&] {
        static_cast<void>(usable.scores(Tensor::zeros({1, 3, 28, 28})));
      },
      {"[1,3,28,28]"});
}

}  // namespace
}  // namespace branchy
