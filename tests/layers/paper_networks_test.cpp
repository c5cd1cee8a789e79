// The networks of Dong et al., held against every count that the paper prints (Tables I to VI) as
// exact integers, and their exits by option.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_plan.h"

namespace branchy {
namespace {

using Options = std::map<std::string, std::string>;

std::unique_ptr<MultiExitNetwork> make(const std::string& name, std::int64_t classes,
                                       std::int64_t early_exits = kDefaultExits,
                                       Options options = {}) {
  Rng rng(1);
  return make_network({name, classes, early_exits, std::move(options)}, rng);
}

/// Counts in `ptflops`; index 0 is exit 1.
struct PrintedCounts {
  std::string network;
  std::int64_t classes;
  std::vector<std::int64_t> trunk, exits;  ///< O_l and O_e of the early exits
  std::int64_t backbone, parameters;       ///< without early exits
};

class PaperCounts : public ::testing::TestWithParam<PrintedCounts> {};

TEST_P(PaperCounts, EqualThePublishedOnes) {
  const PrintedCounts& expected = GetParam();
  const auto network = make(expected.network, expected.classes);
  ASSERT_EQ(network->num_exits(), std::ssize(expected.exits) + 1);
  Cost backbone;
  for (std::int64_t number = 1; number <= network->num_exits(); ++number) {
    const Cost trunk = total_cost(network->profile_trunk(number));
    const Cost exit = total_cost(network->profile_exit(number));
    backbone += trunk;
    if (number == network->num_exits()) {
      backbone += exit;
      continue;
    }
    EXPECT_EQ(trunk.ptflops, expected.trunk[static_cast<std::size_t>(number - 1)]) << number;
    EXPECT_EQ(exit.ptflops, expected.exits[static_cast<std::size_t>(number - 1)]) << number;
  }
  EXPECT_EQ(backbone.ptflops, expected.backbone);
  EXPECT_EQ(backbone.parameters, expected.parameters);
}

TEST_P(PaperCounts, HoldForThePlainBackbone) {
  const PrintedCounts& expected = GetParam();
  const auto network = make(expected.network, expected.classes, 0);
  ASSERT_EQ(network->num_exits(), 1);
  const Cost total = total_cost(network->profile_trunk(1)) + total_cost(network->profile_exit(1));
  EXPECT_EQ(total.ptflops, expected.backbone);
  EXPECT_EQ(total.parameters, expected.parameters);
}

TEST_P(PaperCounts, AreWhatTheNaiveLoopsCount) {
  const auto network = make(GetParam().network, GetParam().classes);
  test::ReferencePlan plan(network->input_shape());
  PlanValue feature = plan.input();
  Cost total;
  std::int64_t depth = 0;
  for (std::int64_t number = 1; number <= network->num_exits(); ++number) {
    for (; depth < network->exit(number).after_block; ++depth)
      feature = network->blocks()[static_cast<std::size_t>(depth)].layer->lower(plan, feature);
    static_cast<void>(network->exit(number).layer->lower(plan, feature));
    total += total_cost(network->profile_trunk(number)) + total_cost(network->profile_exit(number));
  }
  EXPECT_EQ(total.macs, plan.macs());
  EXPECT_EQ(total.ptflops, plan.ptflops());
}

INSTANTIATE_TEST_SUITE_P(
    Tables, PaperCounts,
    ::testing::Values(
        PrintedCounts{"alexnet", 10, {491520, 7114752}, {4749322, 1775114}, 62877706, 23272266},
        PrintedCounts{"alexnet", 100, {491520, 7114752}, {4841572, 1798244}, 63246436, 23640996},
        PrintedCounts{
            "vgg16_bn", 10, {1966080, 56983552}, {16695306, 14233610}, 333082634, 33642442},
        PrintedCounts{
            "vgg16_bn", 100, {1966080, 56983552}, {17432676, 14602340}, 333451364, 34011172},
        PrintedCounts{"resnet44", 10, {5292032, 32530432}, {9658378, 4788234}, 98517642, 661338},
        PrintedCounts{"resnet44", 100, {5292032, 32530432}, {10027108, 4972644}, 98523492, 667188}),
    [](const auto& table) {
      return table.param.network + "_" + std::to_string(table.param.classes);
    });

/// Counts of the blocks of the trunk, one after another.
std::vector<std::int64_t> block_counts(const MultiExitNetwork& network) {
  std::vector<std::int64_t> counts;
  Shape shape = network.input_shape();
  for (const auto& block : network.blocks()) {
    counts.push_back(block.layer->cost(shape).ptflops);
    shape = block.layer->output_shape(shape);
  }
  return counts;
}

TEST(AlexNet, CountsEachBlockAsPublished) {
  EXPECT_EQ(block_counts(*make("alexnet", 10)),
            (std::vector<std::int64_t>{491520, 7114752, 10622976 + 6144, 14159872 + 4096,
                                       9441280 + 4096 + 4096}));
}

TEST(Vgg16Bn, CountsEachBlockAsPublished) {
  EXPECT_EQ(block_counts(*make("vgg16_bn", 10)),
            (std::vector<std::int64_t>{1966080, 37945344 + 65536, 18972672, 37847040 + 32768,
                                       18923520, 37797888, 37797888 + 16384, 18898944, 37773312,
                                       37773312 + 8192, 9443328, 9443328, 9443328 + 2048}));
}

/// Output shapes of the convolutions (or residual blocks) of an early exit: Tables III and IV.
std::vector<Shape> exit_shapes(const MultiExitNetwork& network, std::int64_t number,
                               const std::string& last_of_block) {
  std::vector<Shape> shapes;
  for (const CostRow& row : network.profile_exit(number))
    if (row.name.find(last_of_block) != std::string::npos) shapes.push_back(row.dst);
  return shapes;
}

TEST(PaperExits, HaveTheShapesOfTablesIIIAndIV) {
  using Shapes = std::vector<Shape>;
  const auto alexnet = make("alexnet", 10);
  EXPECT_EQ(exit_shapes(*alexnet, 1, "_relu"), (Shapes{{1, 64, 8, 8}, {1, 64, 8, 8}}));
  EXPECT_EQ(exit_shapes(*alexnet, 2, "_relu"), (Shapes{{1, 64, 4, 4}}));
  const auto vgg = make("vgg16_bn", 10);
  EXPECT_EQ(exit_shapes(*vgg, 1, ".bn"),
            (Shapes{{1, 64, 16, 16}, {1, 32, 16, 16}, {1, 32, 16, 16}}));
  EXPECT_EQ(exit_shapes(*vgg, 2, ".bn"), (Shapes{{1, 128, 8, 8}, {1, 64, 8, 8}}));
  const auto two = make("resnet44", 10, 2);
  EXPECT_EQ(exit_shapes(*two, 1, ".add"), (Shapes{{1, 16, 32, 32}, {1, 16, 32, 32}}));
  EXPECT_EQ(exit_shapes(*two, 2, ".add"), (Shapes{{1, 32, 16, 16}}));
  const auto three = make("resnet44", 100, 3);
  EXPECT_EQ(exit_shapes(*three, 1, ".add"), (Shapes{{1, 16, 32, 32}, {1, 16, 32, 32}}));
  EXPECT_EQ(exit_shapes(*three, 2, ".add"), (Shapes{{1, 16, 32, 32}}));
  EXPECT_EQ(exit_shapes(*three, 3, ".add"), (Shapes{{1, 32, 16, 16}}));
}

TEST(PaperExits, LeaveTheFeaturesOfThePaperAtTheCut) {
  for (const auto& [name, shape] :
       {std::pair{"alexnet", Shape{1, 192, 4, 4}}, std::pair{"vgg16_bn", Shape{1, 128, 16, 16}},
        std::pair{"resnet44", Shape{1, 32, 16, 16}}}) {
    const auto network = make(name, 10);
    EXPECT_EQ(network->feature_shape(network->exit(2).after_block), shape) << name;
  }
}

TEST(LightExits, AreGlobalPoolingAndOneLinearLayerAtThePlacesOfThePaper) {
  const auto expect_exit = [](const MultiExitNetwork& network, std::int64_t number,
                              std::int64_t elements, std::int64_t linear) {
    EXPECT_EQ(total_cost(network.profile_exit(number)).ptflops, elements + linear)
        << network.config().name << number;
    EXPECT_EQ(total_cost(network.profile_exit(number)).parameters, linear);
  };
  const Options light{{"exit", "light"}};
  const auto alexnet = make("alexnet", 10, 2, light);
  expect_exit(*alexnet, 1, 64 * 8 * 8, 650);
  expect_exit(*alexnet, 2, 192 * 4 * 4, 1930);
  const auto vgg = make("vgg16_bn", 100, 2, light);
  expect_exit(*vgg, 1, 64 * 32 * 32, 6500);
  expect_exit(*vgg, 2, 128 * 16 * 16, 12900);
  const auto resnet = make("resnet44", 10, 3, light);
  expect_exit(*resnet, 1, 16 * 32 * 32, 170);
  expect_exit(*resnet, 2, 16 * 32 * 32, 170);
  expect_exit(*resnet, 3, 32 * 16 * 16, 330);
  EXPECT_EQ(resnet->exit(2).after_block, 5);
}

TEST(ExitOptions, PlaceExitsByHandByNumberOrName) {
  const auto vgg = make("vgg16_bn", 10, kDefaultExits, {{"exit-after", "2,conv4,12"}});
  ASSERT_EQ(vgg->num_exits(), 4);
  EXPECT_EQ(vgg->config().early_exits, 3);
  EXPECT_EQ(vgg->exit(1).after_block, 2);
  EXPECT_EQ(vgg->exit(2).after_block, 4);
  EXPECT_EQ(vgg->exit(3).after_block, 12);
  const auto resnet = make("resnet44", 10, 2, {{"exit-after", "0,layer1.3"}, {"exit", "bnpool"}});
  ASSERT_EQ(resnet->num_exits(), 3);
  EXPECT_EQ(resnet->exit(1).after_block, 1);  // the stem is block 0
  EXPECT_EQ(resnet->exit(2).after_block, 5);
  EXPECT_EQ(total_cost(resnet->profile_exit(1)).parameters, 2 * 16 + 16 * 10 + 10);
}

TEST(ExitOptions, PlaceExitsOfEveryNetworkByRule) {
  const auto resnet = make("resnet44", 10, 3, {{"placement", "flops"}});
  ASSERT_EQ(resnet->num_exits(), 4);
  std::int64_t total = total_cost(resnet->profile_exit(4)).pthflops;
  for (std::int64_t number = 1; number <= 4; ++number)
    total += total_cost(resnet->profile_trunk(number)).pthflops;
  std::int64_t sum = 0;
  for (std::int64_t number = 1; number <= 3; ++number) {
    const std::vector<CostRow> rows = resnet->profile_trunk(number);
    sum += total_cost(rows).pthflops;
    EXPECT_GE(4 * sum, number * total);
    EXPECT_LT(4 * (sum - 4900000), number * total) << "a block has at most 4.9 million";
  }
  EXPECT_EQ(make("alexnet", 10, 4, {{"placement", "every-block"}})->num_exits(), 5);
  const auto every = make("alexnet", 10, kDefaultExits, {{"placement", "every-block"}});
  EXPECT_EQ(every->config().early_exits, 4) << "the rule gives the number, not the default";
  EXPECT_EQ(make("vgg16_bn", 10, 4, {{"placement", "pareto"}, {"exit", "flatten"}})->num_exits(),
            5);
}

TEST(ExitOptions, GiveLogitsOfEveryKind) {
  const NoGradGuard guard;
  for (const char* kind : {"paper", "light", "bnpool", "flatten"}) {
    const auto network = make("alexnet", 10, 2, {{"exit", kind}});
    const auto logits = network->forward(Variable(Tensor::zeros(Shape{2, 3, 32, 32})), {});
    ASSERT_EQ(logits.size(), 3U);
    for (const Variable& values : logits) EXPECT_EQ(values.shape(), (Shape{2, 10})) << kind;
  }
}

TEST(ExitOptions, RefuseWhatCannotBe) {
  const auto refuses = [](const char* name, std::int64_t exits, Options options,
                          std::initializer_list<std::string> texts) {
    test::expect_error<ConfigError>(
        [&] { static_cast<void>(make(name, 10, exits, std::move(options))); }, texts);
  };
  refuses("alexnet", 1, {}, {"alexnet", "1 early exits", "give 2"});
  refuses("vgg16_bn", 3, {}, {"vgg16_bn", "3 early exits", "give 2"});
  refuses("vgg16_bn", -2, {}, {"-2"});
  refuses("alexnet", 2, {{"exit", "heavy"}}, {"exit", "heavy", "paper, light"});
  refuses("alexnet", 2, {{"exit-after", "99"}}, {"exit-after", "99", "1 .. 4"});
  refuses("alexnet", 2, {{"exit-after", "5"}}, {"exit-after", "5", "1 .. 4"});
  refuses("alexnet", 2, {{"exit-after", "3,2"}}, {"3,2", "rising"});
  refuses("alexnet", 2, {{"exit-after", ""}}, {"exit-after", "at least one"});
  for (const char* places : {"1,", ",1", "1,,2", ","})
    refuses("alexnet", 2, {{"exit-after", places}}, {places, "rising"});
  refuses("alexnet", 2, {{"exit-after", "1"}, {"exit", "paper"}}, {"exit", "paper", "light"});
  refuses("alexnet", 2, {{"exit-after", "1"}, {"placement", "flops"}}, {"placement", "exit-after"});
  refuses("alexnet", 6, {{"placement", "flops"}}, {"6 early exits", "do not fit"});
  refuses("alexnet", 3, {{"placement", "every-block"}}, {"every-block", "4", "3"});
  refuses("alexnet", 3, {{"exit-after", "1,2"}}, {"3 early exits", "places for 2"});
  refuses("alexnet", 0, {{"placement", "every-block"}}, {"0 early exits", "places for 4"});
  refuses("alexnet", 2, {{"placement", "random"}}, {"random", "fibonacci"});
  refuses("alexnet", 2, {{"width", "2"}}, {"alexnet", "width", "dropout", "exit-after"});
  refuses("alexnet", 2, {{"dropout", "1"}}, {"dropout", "0 .. 0.99"});
  refuses("alexnet", 2, {{"dropout", "much"}}, {"dropout", "much"});
}

}  // namespace
}  // namespace branchy
