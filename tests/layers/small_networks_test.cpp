// CNN-9 of Lee et al., the Exit Predictor with its alternatives, and the feature codec.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "layers/models/registry.h"
#include "layers/predictor_stage.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using Options = std::map<std::string, std::string>;
using Counts = std::vector<std::int64_t>;

std::unique_ptr<MultiExitNetwork> make(const std::string& name, std::int64_t classes,
                                       Options options = {},
                                       std::int64_t early_exits = kDefaultExits) {
  Rng rng(1);
  return make_network({name, classes, early_exits, std::move(options)}, rng);
}

Cost whole(const MultiExitNetwork& network) {
  Cost total = total_cost(network.profile_exit(network.num_exits()));
  for (std::int64_t number = 1; number <= network.num_exits(); ++number)
    total += total_cost(network.profile_trunk(number));
  return total;
}

/// `ptflops` of the trunk through each block.
Counts cumulative(const MultiExitNetwork& network) {
  Counts counts;
  std::int64_t sum = 0;
  for (std::int64_t number = 1; number <= network.num_exits(); ++number)
    counts.push_back(sum += total_cost(network.profile_trunk(number)).ptflops);
  return counts;
}

TEST(Cnn9, CountsAsPlanA) {
  const auto mem = make("cnn9", 10);
  ASSERT_EQ(mem->num_exits(), 9);
  EXPECT_EQ(cumulative(*mem), (Counts{2899968, 7716864, 12533760, 16138240, 20905984, 25673728,
                                      29245440, 33988608, 38731776}));
  const Counts exits{16554, 16554, 16554, 8522, 8522, 8522, 4746, 4746, 4746};
  for (std::int64_t number = 1; number <= 9; ++number)
    EXPECT_EQ(total_cost(mem->profile_exit(number)).ptflops,
              exits[static_cast<std::size_t>(number - 1)]);
  EXPECT_EQ(whole(*mem).ptflops, 38736522);
  EXPECT_EQ(whole(*mem).parameters, 267386);
  EXPECT_EQ(mem->feature_shape(3), (Shape{1, 16, 32, 32}));
  EXPECT_EQ(mem->feature_shape(4), (Shape{1, 32, 16, 16}));
  EXPECT_EQ(mem->feature_shape(9), (Shape{1, 64, 8, 8}));
}

TEST(Cnn9, CountsAsTheOtherPlans) {
  const auto stem = make("cnn9", 10, {{"stem", "16"}});
  EXPECT_EQ(whole(*stem).ptflops, 41144970);
  EXPECT_EQ(whole(*stem).parameters, 269722);
  const auto b = make("cnn9", 10, {{"widths", "32,64,128"}});
  EXPECT_EQ(whole(*b).ptflops, 152970506);
  EXPECT_EQ(whole(*b).parameters, 1064682);
  const auto c = make("cnn9", 10, {{"widths", "64,128,256"}}, 0);
  EXPECT_EQ(whole(*c).ptflops, 607930890);
  EXPECT_EQ(whole(*c).parameters, 4249034);
}

TEST(Cnn9, HasSingleExitModelsSkipsAndPooling) {
  for (std::int64_t k = 1; k <= 8; ++k) {
    const auto sem = make("cnn9", 10, {{"exit-after", std::to_string(k)}});
    ASSERT_EQ(sem->num_exits(), 2);
    EXPECT_EQ(sem->exit(1).after_block, k);
  }
  const auto previous = make("cnn9", 10, {{"pool-in", "previous"}, {"pool", "max"}});
  EXPECT_EQ(previous->feature_shape(3), (Shape{1, 16, 16, 16}));
  EXPECT_EQ(whole(*previous).ptflops, 38736522) << "the place of the pooling costs nothing";
  const auto skips = make("cnn9", 10, {{"skips", "residual"}});
  EXPECT_EQ(skips->feature_shape(9), (Shape{1, 64, 8, 8}));
  EXPECT_GT(whole(*skips).parameters, 267386) << "projections where the width changes";
  test::expect_error<ConfigError>([] { static_cast<void>(make("cnn9", 10, {}, 3)); },
                                  {"3 early exits", "MEM"});
  test::expect_error<ConfigError>(
      [] {
        static_cast<void>(make("cnn9", 10, {{"widths", "16,32"}}));
      },
      {"widths", "three"});
}

TEST(ExitPredictor, HasThePrintedCounts) {
  struct Row {
    const char* kind;
    std::int64_t ptflops, parameters;
  };
  for (const Row& row : {Row{"ours", 398462, 59536}, Row{"plain", 286466, 45858},
                         Row{"fc", 393730, 393602}, Row{"lenet", 670370, 61326}}) {
    const auto network = make("exit_predictor", 2, {{"kind", row.kind}});
    EXPECT_EQ(whole(*network).ptflops, row.ptflops) << row.kind;
    EXPECT_EQ(whole(*network).parameters, row.parameters) << row.kind;
    const NoGradGuard guard;
    const auto scores = network->forward(Variable(Tensor::zeros(Shape{3, 3, 32, 32})), {});
    ASSERT_EQ(scores.size(), 1U);
    EXPECT_EQ(scores[0].shape(), (Shape{3, 2})) << row.kind;
  }
  EXPECT_EQ(whole(*make("exit_predictor", 3)).ptflops, 398462 + 65);
  test::expect_error<ConfigError>([] { static_cast<void>(make("exit_predictor", 2, {}, 2)); },
                                  {"exit_predictor", "2 early exits", "give 0"});
}

TEST(ExitPredictor, ReadsAFeatureOfAnyNetwork) {
  struct Row {
    const char *channels, *size;
    std::int64_t scores, ptflops, parameters, blocks;
  };
  // By hand: pooling, then for each stage pool + depth-wise + BN + ReLU + excitation + point-wise +
  // BN + ReLU, and the head 512-64-scores.
  for (const Row& row : {Row{"16", "32", 2, 291966, 59072, 4},  // ResNet44 after the stem
                         Row{"24", "56", 5, 241835, 56488, 3},      // MobileNetV2 after block 2
                         Row{"64", "8", 1, 261601, 63633, 2},            // AlexNet after the first pooling
                         Row{"160", "7", 0, 0, 0, 0}}) {
    const Options options{{"kind", "feature"}, {"channels", row.channels}, {"size", row.size}};
    if (row.scores == 0) {
      test::expect_error<ConfigError>(
          [&] { static_cast<void>(make("exit_predictor", 2, options)); }, {"size", "7", "even"});
      continue;
    }
    const auto network = make("exit_predictor", row.scores, options);
    EXPECT_EQ(whole(*network).ptflops, row.ptflops) << row.channels;
    EXPECT_EQ(whole(*network).parameters, row.parameters) << row.channels;
    EXPECT_EQ(std::ssize(network->blocks()), row.blocks) << row.channels;
    const NoGradGuard guard;
    const auto scores = network->forward(
        Variable(Tensor::zeros(network->input_shape().with_batch(3))), {.mode = Mode::kEval});
    EXPECT_EQ(scores.at(0).shape(), (Shape{3, row.scores})) << row.channels;
  }
  test::expect_error<ConfigError>(
      [] {
        static_cast<void>(make("exit_predictor", 2, {{"kind", "fc"}, {"channels", "16"}}));
      },
      {"channels"});
}

TEST(PredictorStage, RefusesOddImages) {
  Rng rng(1);
  PredictorStage stage({.in = 8, .out = 16}, rng);
  test::expect_error<ShapeError>(
      [&] {
        static_cast<void>(stage.output_shape(Shape{1, 8, 7, 8}));
      },
      {"predictor_stage", "[1,8,7,8]", "even"});
}

TEST(FeatureCodec, HasThePrintedCountsAndShapes) {
  const auto codec = make("feature_codec", 10);
  EXPECT_EQ(codec->input_shape(), (Shape{1, 128, 16, 16}));
  EXPECT_EQ(codec->feature_shape(1), (Shape{1, 32, 8, 8}));  // 64 times fewer bits with 8 bit
  EXPECT_EQ(total_cost(codec->profile_trunk(1)).ptflops, 1054720);
  const auto wide = make("feature_codec", 10, {{"kernel", "3"}});
  EXPECT_EQ(total_cost(wide->profile_trunk(1)).ptflops, 2365440);
  const NoGradGuard guard;
  for (MultiExitNetwork* network : {codec.get(), wide.get()})
    EXPECT_EQ(network->forward(Variable(Tensor::zeros(Shape{2, 128, 16, 16})), {})[0].shape(),
              (Shape{2, 128, 16, 16}));
  test::expect_error<ConfigError>(
      [] {
        static_cast<void>(make("feature_codec", 10, {{"size", "15"}}));
      },
      {"size", "even"});
}

}  // namespace
}  // namespace branchy
