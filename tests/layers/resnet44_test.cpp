#include "layers/models/resnet44.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_plan.h"

namespace branchy {
namespace {

std::unique_ptr<MultiExitNetwork> make(std::int64_t classes, std::int64_t early_exits) {
  Rng rng(1);
  return make_network({.name = "resnet44", .classes = classes, .early_exits = early_exits}, rng);
}

/// Counts of Dong et al. (Tables I, V and VI) as exact integers; index 0 is exit 1.
struct PrintedCounts {
  std::int64_t classes, early_exits;
  std::vector<std::int64_t> trunk, exits;  ///< O_l and O_e of the early exits
  std::int64_t backbone, parameters;       ///< without early exits
};

class ResNet44Counts : public ::testing::TestWithParam<PrintedCounts> {};

TEST_P(ResNet44Counts, EqualThePublishedOnes) {
  const PrintedCounts& expected = GetParam();
  const auto network = make(expected.classes, expected.early_exits);
  ASSERT_EQ(network->num_exits(), expected.early_exits + 1);
  std::int64_t backbone = 0;
  std::int64_t parameters = 0;
  for (std::int64_t number = 1; number <= network->num_exits(); ++number) {
    const Cost trunk = total_cost(network->profile_trunk(number));
    const Cost exit = total_cost(network->profile_exit(number));
    backbone += trunk.ptflops;
    parameters += trunk.parameters;
    if (number == network->num_exits()) {
      backbone += exit.ptflops;
      parameters += exit.parameters;
      continue;
    }
    EXPECT_EQ(trunk.ptflops, expected.trunk[static_cast<std::size_t>(number - 1)]) << number;
    EXPECT_EQ(exit.ptflops, expected.exits[static_cast<std::size_t>(number - 1)]) << number;
  }
  EXPECT_EQ(backbone, expected.backbone);
  EXPECT_EQ(parameters, expected.parameters);
}

INSTANTIATE_TEST_SUITE_P(
    Tables, ResNet44Counts,
    ::testing::Values(
        PrintedCounts{10, 0, {}, {}, 98517642, 661338},
        PrintedCounts{100, 0, {}, {}, 98523492, 667188},
        PrintedCounts{10, 2, {5292032, 32530432}, {9658378, 4788234}, 98517642, 661338},
        PrintedCounts{100, 2, {5292032, 32530432}, {10027108, 4972644}, 98523492, 667188},
        PrintedCounts{
            10, 3, {5292032, 14401536, 18128896}, {9658378, 4857866, 4788234}, 98517642, 661338},
        PrintedCounts{
            100, 3, {5292032, 14401536, 18128896}, {10027108, 5226596, 4972644}, 98523492, 667188}),
    [](const auto& table) {
      return "classes" + std::to_string(table.param.classes) + "_exits" +
             std::to_string(table.param.early_exits);
    });

/// The table of layers/COST.md: trunk and all exits together.
struct Totals {
  std::int64_t classes, early_exits, ptflops, pthflops, macs, executed, parameters;
};

TEST(ResNet44, HasTheTotalsThatTheDocumentStates) {
  for (const Totals& t : {Totals{10, 0, 98517642, 98697866, 97436288, 98919050, 661338},
                          Totals{100, 0, 98523492, 98703716, 97442048, 98924900, 667188},
                          Totals{10, 2, 112964254, 113160862, 111653504, 113447582, 750702},
                          Totals{100, 2, 113523244, 113719852, 112212224, 114006572, 1309692},
                          Totals{10, 3, 117822120, 118018728, 116413056, 118338216, 796344},
                          Totals{100, 3, 118749840, 118946448, 117340416, 119265936, 1724064}}) {
    const auto network = make(t.classes, t.early_exits);
    Cost total;
    for (std::int64_t number = 1; number <= network->num_exits(); ++number)
      total +=
          total_cost(network->profile_trunk(number)) + total_cost(network->profile_exit(number));
    EXPECT_EQ(total.ptflops, t.ptflops);
    EXPECT_EQ(total.pthflops, t.pthflops);
    EXPECT_EQ(total.macs, t.macs);
    EXPECT_EQ(total.executed, t.executed);
    EXPECT_EQ(total.parameters, t.parameters);
  }
}

TEST(ResNet44, CountsEachKindOfBlockAsPublished) {
  const auto network = make(10, 0);
  Shape shape = network->input_shape();
  for (const MultiExitNetwork::Block& block : network->blocks()) {
    std::int64_t expected = 0;
    if (block.name == "stem") expected = 491520;
    if (block.name.starts_with("layer1.")) expected = 4800512;
    if (block.name.starts_with("layer2.")) expected = 4759552;
    if (block.name.starts_with("layer3.")) expected = 4739072;
    if (block.name == "layer2.0") expected = 3727360;
    if (block.name == "layer3.0") expected = 3698688;
    EXPECT_EQ(block.layer->cost(shape).ptflops, expected) << block.name;
    shape = block.layer->output_shape(shape);
  }
  EXPECT_EQ(shape, (Shape{1, 64, 8, 8}));
}

TEST(ResNet44, CountsPartsAsTheNaiveLoopsDo) {
  const auto network = make(10, 2);
  test::ReferencePlan plan(network->input_shape());
  PlanValue feature = plan.input();
  Cost total;
  std::int64_t depth = 0;
  for (std::int64_t number = 1; number <= network->num_exits(); ++number) {
    const auto& exit = network->exit(number);
    for (; depth < exit.after_block; ++depth)
      feature = network->blocks()[static_cast<std::size_t>(depth)].layer->lower(plan, feature);
    static_cast<void>(exit.layer->lower(plan, feature));
    total += total_cost(network->profile_trunk(number)) + total_cost(network->profile_exit(number));
  }
  EXPECT_EQ(total.macs, plan.macs());
  EXPECT_EQ(total.ptflops, plan.ptflops());
}

TEST(ResNet44, HasTheExpectedPlacesAndShapes) {
  const auto network = make(10, 3);
  EXPECT_EQ(network->exit(1).after_block, 2);
  EXPECT_EQ(network->exit(2).after_block, 5);
  EXPECT_EQ(network->exit(3).after_block, 9);
  EXPECT_EQ(network->exit(4).after_block, 22);
  EXPECT_EQ(network->feature_shape(network->blocks_through("layer1.0")), (Shape{1, 16, 32, 32}));
  EXPECT_EQ(network->feature_shape(network->blocks_through("layer2.0")), (Shape{1, 32, 16, 16}));
  EXPECT_EQ(network->feature_shape(network->blocks_through("layer3.6")), (Shape{1, 64, 8, 8}));
  const NoGradGuard guard;
  const auto logits = network->forward(Variable(Tensor::zeros(Shape{2, 3, 32, 32})), {});
  ASSERT_EQ(logits.size(), 4U);
  for (const Variable& values : logits) EXPECT_EQ(values.shape(), (Shape{2, 10}));
}

TEST(ResNet44, NamesEveryTensorOnce) {
  const auto network = make(10, 2);
  std::set<std::string> names;
  std::int64_t parameters = 0;
  for (const StateEntry& entry : network->state()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    if (!entry.is_buffer) parameters += entry.variable->value().size();
  }
  for (const char* name : {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight",
                           "layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.running_mean",
                           "exits.1.block1.bn2.bias", "exits.2.fc.weight", "fc.bias"})
    EXPECT_TRUE(names.contains(name)) << name;
  Cost total;
  for (std::int64_t number = 1; number <= 3; ++number)
    total += total_cost(network->profile_trunk(number)) + total_cost(network->profile_exit(number));
  EXPECT_EQ(total.parameters, parameters);
}

// He et al. 2016: option A has no parameters; 661,754 with running statistics in published files.
TEST(ResNet44, OptionAHasNoParametersInItsShortcuts) {
  Rng rng(1);
  const auto network = make_network(
      {.name = "resnet44", .early_exits = 0, .options = {{"shortcut", "option-a"}}}, rng);
  std::int64_t values = 0;
  for (const StateEntry& entry : network->state()) {
    EXPECT_EQ(entry.name.find("shortcut"), std::string::npos) << entry.name;
    values += entry.variable->value().size();
  }
  EXPECT_EQ(values, 661754);
  const Cost cost = total_cost(network->profile_trunk(1)) + total_cost(network->profile_exit(1));
  EXPECT_EQ(cost.parameters, 658586);
  EXPECT_EQ(network->feature_shape(network->blocks_through("layer2.0")), (Shape{1, 32, 16, 16}));

  // The shortcut of a block that starts as its shortcut: pixels 0, 2, 4, ... between zeros.
  const auto& block =
      network->blocks()[static_cast<std::size_t>(network->blocks_through("layer2.0") - 1)];
  const Tensor src = test::random_tensor({2, 16, 32, 32}, 5);
  const NoGradGuard guard;
  const Tensor dst = block.layer->forward(Variable(src), {}).value();
  const auto at = [](const Tensor& t, std::int64_t n, std::int64_t c, std::int64_t h,
                     std::int64_t w) {
    const Shape& s = t.shape();
    return t.data()[static_cast<std::size_t>(((n * s[1] + c) * s[2] + h) * s[3] + w)];
  };
  for (const std::int64_t c : {0, 7, 8, 15, 23, 24, 31})
    for (const std::int64_t h : {0, 1, 15})
      EXPECT_EQ(at(dst, 1, c, h, 3),
                c < 8 || c >= 24 ? 0.0F : std::max(0.0F, at(src, 1, c - 8, 2 * h, 6)));
}

TEST(ResNet44, RefusesWhatThePaperDoesNotHave) {
  test::expect_error<ConfigError>([] { make(10, 1); }, {"1 early exits", "2 or 3"});
  test::expect_error<ConfigError>([] { make(1, 2); }, {"1 classes"});
  Rng rng(0);
  test::expect_error<ConfigError>([&] { static_cast<void>(make_network({.name = "vgg1"}, rng)); },
                                  {"vgg1", "resnet44"});
  const auto network = make(10, 2);
  test::expect_error<ConfigError>([&] { static_cast<void>(network->blocks_through("layer9")); },
                                  {"layer9", "layer3.6"});
  test::expect_error<ConfigError>([&] { static_cast<void>(network->exit(4)); }, {"4", "1 to 3"});
  const NoGradGuard guard;
  test::expect_error<ShapeError>(
      [&] {
        network->forward(Variable(Tensor::zeros(Shape{1, 4, 32, 32})), {});
      },
      {"stem.conv1", "[1,4,32,32]", "[N,3,H,W]"});
}

}  // namespace
}  // namespace branchy
