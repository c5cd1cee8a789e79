// MobileNetV2: the counts of its modules, and where the branches of Pacheco et al. go.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "layers/models/exit_placement.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using Options = std::map<std::string, std::string>;
using Counts = std::vector<std::int64_t>;

std::unique_ptr<MultiExitNetwork> make(std::int64_t classes, std::int64_t early_exits,
                                       Options options = {}) {
  Rng rng(1);
  return make_network({"mobilenet_v2", classes, early_exits, std::move(options)}, rng);
}

/// Costs of the trunk through each module.
std::vector<Cost> cumulative(const MultiExitNetwork& network) {
  std::vector<Cost> costs;
  Cost sum;
  Shape shape = network.input_shape();
  for (const auto& block : network.blocks()) {
    sum += block.layer->cost(shape);
    costs.push_back(sum);
    shape = block.layer->output_shape(shape);
  }
  return costs;
}

Cost backbone(const MultiExitNetwork& network) {
  return cumulative(network).back() + total_cost(network.profile_exit(network.num_exits()));
}

/// Index of the module before each early exit, as the papers count.
Counts places(std::int64_t classes, std::int64_t early_exits, Options options = {}) {
  const auto network = make(classes, early_exits, std::move(options));
  Counts after;
  for (std::int64_t number = 1; number < network->num_exits(); ++number)
    after.push_back(network->exit(number).after_block - 1);
  return after;
}

TEST(MobileNetV2, HasThePublishedCumulativeCountsAt224) {
  const Counts macs{10838016,  20873216,  50075648,  75815936,  91282688,  102271232, 113259776,
                    120823808, 131134976, 141446144, 151757312, 164476928, 187169024, 209861120,
                    225468992, 240945152, 256421312, 279423872, 299494272};
  const Counts pthflops{11640832,  22880256,  55243776,  83091456,  99737344,  111428352, 123119360,
                        131084800, 141747200, 152409600, 163072000, 176130304, 199349248, 222568192,
                        238473984, 254169664, 269865344, 293087424, 313283264};
  const auto network = make(1000, 0);
  const auto costs = cumulative(*network);
  ASSERT_EQ(costs.size(), 19U);
  for (std::size_t i = 0; i < costs.size(); ++i) {
    EXPECT_EQ(costs[i].macs, macs[i]) << i;
    EXPECT_EQ(costs[i].pthflops, pthflops[i]) << i;
  }
  EXPECT_EQ(costs[0].ptflops, 12042240);
  EXPECT_EQ(costs[18].ptflops, 318956288);
  EXPECT_EQ(backbone(*network).macs, 300774272);
  EXPECT_EQ(backbone(*network).pthflops, 314564264);
}

TEST(MobileNetV2, HasTheCumulativeCountsOfTheAuthorsAt300) {
  const auto network = make(1000, 0, {{"input", "300"}});
  EXPECT_EQ(cumulative_counts(network->blocks(), network->input_shape()),
            (Counts{20880000, 41040000, 99090000, 149040000, 179133664, 200666592, 222199520,
                    236870560, 256508960, 276147360, 295785760, 319837024, 362602528, 405368032,
                    435627360, 467659360, 499691360, 547083360, 588299360}));
  EXPECT_EQ(backbone(*network).pthflops, 589580360);
}

TEST(MobileNetV2, HasThePublishedParametersAndShapes) {
  EXPECT_EQ(backbone(*make(1000, 0)).parameters, 3504872);
  EXPECT_EQ(backbone(*make(257, 0)).parameters, 2553089);
  EXPECT_EQ(backbone(*make(258, 0)).parameters, 2554370);
  const auto network = make(1000, 0);
  std::int64_t values = 0;
  for (const StateEntry& entry : network->state())
    if (!entry.is_buffer) values += entry.variable->value().size();
  EXPECT_EQ(values, 3504872);
  EXPECT_EQ(network->feature_shape(1), (Shape{1, 32, 112, 112}));
  EXPECT_EQ(network->feature_shape(2), (Shape{1, 16, 112, 112}));
  EXPECT_EQ(network->feature_shape(6), (Shape{1, 32, 28, 28}));
  EXPECT_EQ(network->feature_shape(14), (Shape{1, 96, 14, 14}));
  EXPECT_EQ(network->feature_shape(19), (Shape{1, 1280, 7, 7}));
}

TEST(MobileNetV2, ForSmallImagesIsTheUsualOne) {
  const auto network = make(100, 0, {{"input", "32"}});
  EXPECT_EQ(backbone(*network).macs, 88091648);
  EXPECT_EQ(network->feature_shape(19), (Shape{1, 1280, 4, 4}));
}

TEST(MobileNetV2, PlacesBranchesAsThePaper) {
  EXPECT_EQ(places(257, 2), (Counts{5, 13}));
  EXPECT_EQ(places(257, 3), (Counts{3, 10, 14}));
  EXPECT_EQ(places(257, 4), (Counts{3, 7, 12, 15}));
  EXPECT_EQ(places(257, 5), (Counts{2, 5, 10, 13, 16}));
  const Options code{{"input", "300"}};
  EXPECT_EQ(places(257, 2, code), (Counts{5, 13}));
  EXPECT_EQ(places(257, 3, code), (Counts{3, 10, 15}));
  EXPECT_EQ(places(257, 4, code), (Counts{3, 7, 12, 16}));
  EXPECT_EQ(places(257, 5, code), (Counts{2, 5, 10, 13, 16}));
  for (const std::int64_t classes : {10, 100}) {
    const Options small{{"input", "32"}};
    EXPECT_EQ(places(classes, 2, small), (Counts{7, 13}));
    EXPECT_EQ(places(classes, 3, small), (Counts{5, 11, 15}));
    EXPECT_EQ(places(classes, 4, small), (Counts{4, 9, 13, 16}));
    EXPECT_EQ(places(classes, 5, small), (Counts{3, 7, 11, 13, 16}));
  }
}

TEST(MobileNetV2, PlacesBranchesByOtherRulesAndByHand) {
  // Shares of 314,564,264: pareto 0.2 0.36 0.488; fibonacci 0.236 0.382 0.618.
  EXPECT_EQ(places(257, 3, {{"placement", "pareto"}}), (Counts{3, 6, 10}));
  EXPECT_EQ(places(257, 3, {{"placement", "fibonacci"}}), (Counts{3, 6, 12}));
  EXPECT_EQ(places(257, kDefaultExits, {{"placement", "every-block"}}).size(), 18U);
  EXPECT_EQ(places(257, kDefaultExits, {{"exit-after", "5,13"}}), (Counts{5, 13}));
  test::expect_error<ConfigError>(
      [] {
        static_cast<void>(places(257, kDefaultExits, {{"exit-after", "99"}}));
      },
      {"99", "0 .. 17"});
  // Early stages of the network are the expensive ones: the later shares find no block.
  test::expect_error<ConfigError>([] { static_cast<void>(places(257, 18)); },
                                  {"18 early exits", "do not fit", "the rule finds"});
  test::expect_error<ConfigError>([] { static_cast<void>(places(257, 20)); },
                                  {"20 early exits", "do not fit", "18 blocks"});
  test::expect_error<ConfigError>([] { static_cast<void>(places(257, INT64_MAX)); },
                                  {"9223372036854775807 early exits", "18 blocks"});
}

TEST(MobileNetV2, HasTheBranchesOfThePaper) {
  const auto network = make(257, 5);
  // BN over the channels, global average pool, linear to the classes.
  const Counts parameters{6473, 8545, 16833, 25121, 41697};
  for (std::int64_t number = 1; number <= 5; ++number)
    EXPECT_EQ(total_cost(network->profile_exit(number)).parameters,
              parameters[static_cast<std::size_t>(number - 1)]);
  const auto light = make(257, 5, {{"exit", "light"}});
  EXPECT_EQ(total_cost(light->profile_exit(1)).parameters, 24 * 257 + 257);
  const auto flat = make(10, 5, {{"exit", "flatten"}});
  EXPECT_EQ(total_cost(flat->profile_exit(5)).parameters, 7840 * 10 + 10);
}

TEST(MobileNetV2, HasWidthsAndNamesOfPublishedFiles) {
  const auto half = make(1000, 0, {{"width", "0.5"}});
  EXPECT_EQ(half->feature_shape(1)[1], 16);
  EXPECT_EQ(half->feature_shape(3)[1], 16);  // 12 becomes 16: 8 would be below 90 %
  EXPECT_EQ(half->feature_shape(19)[1], 1280);
  EXPECT_EQ(backbone(*half).parameters, 1968680);
  std::vector<std::string> names;
  const auto network = make(10, 1, {{"input", "32"}});
  for (const StateEntry& entry : network->state()) names.push_back(entry.name);
  for (const char* name :
       {"features.0.0.weight", "features.0.1.running_var", "features.1.conv.0.0.weight",
        "features.1.conv.1.weight", "features.1.conv.2.bias", "features.2.conv.1.0.weight",
        "features.17.conv.3.running_mean", "features.18.1.bias", "exits.1.bn.weight",
        "exits.1.fc.bias", "classifier.1.weight"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  const NoGradGuard guard;
  const auto logits = network->forward(Variable(Tensor::zeros(Shape{2, 3, 32, 32})), {});
  ASSERT_EQ(logits.size(), 2U);
  for (const Variable& values : logits) EXPECT_EQ(values.shape(), (Shape{2, 10}));
}

TEST(MobileNetV2, RefusesOptionsOutOfRange) {
  for (const auto& option : Options{{"input", "8"}, {"width", "0"}, {"variant", "v3"}})
    test::expect_error<ConfigError>([&] { static_cast<void>(make(10, 0, {option})); },
                                    {"mobilenet_v2", option.first, option.second});
}

}  // namespace
}  // namespace branchy
