#include "layers/filter_pruning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "layers/network_summary.h"
#include "tests/support/expect_error.h"
#include "tests/support/randomize.h"
#include "tests/support/reference_ops.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using Options = std::map<std::string, std::string>;

std::unique_ptr<MultiExitNetwork> random_network(const NetworkConfig& config) {
  Rng rng(3);
  auto network = make_network(config, rng);
  test::randomize(network->state());
  return network;
}

Variable& state_of(MultiExitNetwork& network, const std::string& name) {
  for (const StateEntry& entry : network.state())
    if (entry.name == name) return *entry.variable;
  throw std::runtime_error("no state " + name);
}

bool has_state(MultiExitNetwork& network, const std::string& name) {
  const auto state = network.state();
  return std::any_of(state.begin(), state.end(), [&](const auto& e) { return e.name == name; });
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.rfind(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

/// The batch norms that a convolution's channels pass, written down by hand for each network.
std::vector<std::string> norms_behind(const std::string& network, const std::string& conv) {
  if (network == "resnet44") return {replaced(conv, "conv1", "bn1")};
  if (network == "cnn9")
    return {conv.ends_with("stem") ? conv + "_bn" : replaced(conv, "conv", "bn")};
  if (network == "mobilenet_v2") {
    if (conv == "features.0.0") return {"features.0.1", "features.1.conv.0.1"};
    return {replaced(conv, ".0.0", ".0.1"), replaced(conv, ".0.0", ".1.1")};
  }
  if (network == "vgg16_bn" && conv == "features.7") return {"features.8", "exits.1.bn"};
  if (network == "vgg16_bn" && conv.starts_with("features."))
    return {"features." + std::to_string(std::stoi(conv.substr(9)) + 1)};
  if (network == "vgg16_bn") return {replaced(conv, "conv", "bn")};
  return {};  // AlexNet has none
}

/// Indices of all but the `count` filters with the largest sum of squares.
std::vector<std::int64_t> weakest(const Tensor& weights, std::int64_t count) {
  std::vector<double> squares(static_cast<std::size_t>(weights.dim(0)), 0.0);
  const std::size_t size = weights.data().size() / squares.size();
  for (std::size_t i = 0; i < weights.data().size(); ++i)
    squares[i / size] += std::pow(static_cast<double>(weights.data()[i]), 2.0);
  std::vector<std::int64_t> order(squares.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return squares[static_cast<std::size_t>(a)] < squares[static_cast<std::size_t>(b)];
  });
  order.resize(order.size() - static_cast<std::size_t>(count));
  return order;
}

void zero_rows(Tensor& tensor, const std::vector<std::int64_t>& rows) {
  const std::size_t size = tensor.data().size() / static_cast<std::size_t>(tensor.dim(0));
  for (const std::int64_t row : rows)
    std::fill_n(tensor.mutable_data().begin() + row * static_cast<std::int64_t>(size), size, 0.0F);
}

/// Makes every filter that `pruned` lacks compute zero, whatever follows.
void mask_removed(MultiExitNetwork& network, const MultiExitNetwork& pruned) {
  for (const FilterCount& filter : pruned.filters()) {
    if (filter.count == filter.all) continue;
    const std::string weight = filter.conv + ".weight";
    const auto rows = weakest(state_of(network, weight).value(), filter.count);
    std::vector<std::string> names{weight, filter.conv + ".bias"};
    for (const std::string& norm : norms_behind(network.config().name, filter.conv))
      names.insert(names.end(), {norm + ".weight", norm + ".bias"});
    for (const std::string& name : names)
      if (has_state(network, name)) zero_rows(state_of(network, name).mutable_value(), rows);
  }
}

struct PruningCase {
  std::string name;
  NetworkConfig config;
};

class FilterPruningTest : public ::testing::TestWithParam<PruningCase> {};

void expect_same_state(MultiExitNetwork& network, MultiExitNetwork& expected) {
  EXPECT_EQ(network.config(), expected.config());
  const auto state = network.state();
  const auto wanted = expected.state();
  ASSERT_EQ(state.size(), wanted.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    ASSERT_EQ(state[i].name, wanted[i].name);
    EXPECT_TRUE(
        std::ranges::equal(state[i].variable->value().data(), wanted[i].variable->value().data()))
        << state[i].name;
  }
}

void expect_round_trip(MultiExitNetwork& network) {
  const test::TemporaryDirectory folder;
  ModelInfo info;
  info.config = network.config();
  info.part = network.whole();
  info.std = {1.0F, 1.0F, 1.0F};
  save_model(folder / "pruned.safetensors", network, info);
  expect_same_state(*load_model(folder / "pruned.safetensors").network, network);
}

TEST_P(FilterPruningTest, AnswersAsTheWholeNetworkWithItsWeakestFiltersAtZero) {
  const auto network = random_network(GetParam().config);
  expect_same_state(*prune_filters(*network, 0.0), *network);
  const auto pruned = prune_filters(*network, 0.3);
  ASSERT_EQ(pruned->num_exits(), network->num_exits());
  EXPECT_LT(whole_cost(*pruned).parameters, whole_cost(*network).parameters);
  expect_round_trip(*pruned);
  const NoGradGuard guard;
  const Shape& input = network->input_shape();
  const Variable images(test::random_tensor(Shape{2, input[1], input[2], input[3]}, 9));
  const auto before = network->forward(images, {});
  mask_removed(*network, *pruned);
  const auto masked = network->forward(images, {});
  const auto logits = pruned->forward(images, {});
  // Sums of other lengths round differently, and depth adds that up: 6e-5 after 53 layers.
  for (std::size_t exit = 0; exit < logits.size(); ++exit) {
    EXPECT_LT(test::relative_error(logits[exit].value(), masked[exit].value()), 2e-4)
        << "exit " << exit + 1;
    EXPECT_GT(test::relative_error(before[exit].value(), masked[exit].value()), 1e-2)
        << "the mask of exit " << exit + 1 << " changes nothing";
  }
}

NetworkConfig config(const std::string& name, std::int64_t exits, const Options& options = {}) {
  return {.name = name, .classes = 7, .early_exits = exits, .options = options};
}

INSTANTIATE_TEST_SUITE_P(
    Networks, FilterPruningTest,
    ::testing::Values(
        PruningCase{"resnet44", config("resnet44", 2)},
        PruningCase{"resnet44_option_a", config("resnet44", 3, {{"shortcut", "option-a"}})},
        PruningCase{"alexnet", config("alexnet", 2)},
        PruningCase{"alexnet_flatten", config("alexnet", 2, {{"exit", "flatten"}})},
        PruningCase{"vgg16_bn", config("vgg16_bn", 2, {{"hidden", "32"}})},
        PruningCase{
            "vgg16_bn_bnpool",
            config("vgg16_bn", 1, {{"hidden", "32"}, {"exit", "bnpool"}, {"exit-after", "3"}})},
        PruningCase{"cnn9", config("cnn9", 8)},
        PruningCase{"cnn9_residual",
                    config("cnn9", 1, {{"skips", "residual"}, {"stem", "8"}, {"exit-after", "5"}})},
        PruningCase{"cnn9_stem", config("cnn9", 1, {{"stem", "8"}, {"exit-after", "5"}})},
        PruningCase{"mobilenet_v2", config("mobilenet_v2", 5, {{"input", "32"}, {"width", "0.5"}})},
        PruningCase{"mobilenet_v2_narrow",
                    config("mobilenet_v2", 2,
                           {{"input", "32"}, {"width", "0.25"}, {"placement", "pareto"}})}),
    [](const auto& test_info) { return test_info.param.name; });

TEST(FilterPruning, OfResNet44TouchesTheFirstConvolutionsOfTheDeviceAlone) {
  const auto network = random_network(config("resnet44", 2));
  const auto pruned = prune_filters(*network, 0.1);
  std::map<std::string, std::int64_t> missing;
  for (const FilterCount& filter : pruned->filters())
    if (filter.count < filter.all) missing[filter.conv] = filter.all - filter.count;
  std::map<std::string, std::int64_t> expected{{"layer2.0.conv1", 3},  // round(3.2)
                                               {"exits.1.block0.conv1", 2},
                                               {"exits.1.block1.conv1", 2},
                                               {"exits.2.block0.conv1", 3}};
  for (int i = 0; i < 7; ++i) expected["layer1." + std::to_string(i) + ".conv1"] = 2;  // of 16
  EXPECT_EQ(missing, expected);
  EXPECT_EQ(pruned->feature_shape(9), network->feature_shape(9));
}

TEST(FilterPruning, OfVgg16NarrowsTheFeatureAtTheCutAndTheServersFirstLayer) {
  const auto network = random_network(config("vgg16_bn", 2, {{"hidden", "32"}}));
  const auto pruned = prune_filters(*network, 0.25);
  EXPECT_EQ(pruned->feature_shape(3), (Shape{1, 96, 16, 16}));
  EXPECT_EQ(state_of(*pruned, "features.10.weight").shape(), (Shape{128, 96, 3, 3}));
  EXPECT_EQ(state_of(*pruned, "exits.2.fc.weight").shape(), (Shape{7, 48 * 8 * 8}));
}

std::int64_t operations(const std::vector<CostRow>& rows) { return total_cost(rows).ptflops; }

TEST(FilterPruning, CountsOfResNet44EqualTheClosedForm) {
  const auto network = random_network(config("resnet44", 2));
  for (const double ratio : {0.0, 0.25, 0.5}) {
    const auto pruned = prune_filters(*network, ratio);
    const auto kept = [&](double n) { return static_cast<std::int64_t>(n * (1.0 - ratio)); };
    // Convolutions count multiply-adds, batch norm 2 an output, the first ReLU of a block 1.
    const auto block = [](std::int64_t in, std::int64_t inner, std::int64_t out,
                          std::int64_t pixels) {
      return pixels * (9 * in * inner + 3 * inner + 9 * inner * out + 2 * out);
    };
    const std::int64_t stem = 1024 * (27 * 16 + 3 * 16);
    const std::int64_t projection = 256 * (16 * 32 + 2 * 32);
    EXPECT_EQ(operations(pruned->profile_trunk(1)), stem + block(16, kept(16), 16, 1024));
    EXPECT_EQ(operations(pruned->profile_trunk(2)),
              6 * block(16, kept(16), 16, 1024) + block(16, kept(32), 32, 256) + projection);
    EXPECT_EQ(operations(pruned->profile_exit(1)),
              2 * block(16, kept(16), 16, 1024) + 16 * 1024 + 4096 * 7 + 7);
    EXPECT_EQ(operations(pruned->profile_exit(2)),
              block(32, kept(32), 32, 256) + 32 * 256 + 2048 * 7 + 7);
    EXPECT_EQ(operations(pruned->profile_trunk(3)), operations(network->profile_trunk(3)))
        << "the server's part stays";
  }
}

TEST(FilterPruning, LeavesOneFilterOfEachLayerAndPrunesAPrunedNetworkFurther) {
  const auto network = random_network(config("cnn9", 1, {{"exit-after", "4"}}));
  const auto least = prune_filters(*network, 0.999);
  std::set<std::int64_t> counts;
  for (const FilterCount& filter : least->filters()) counts.insert(filter.count);
  EXPECT_EQ(counts, (std::set<std::int64_t>{1, 32, 64})) << "one, or all on the server";
  const auto twice = prune_filters(*prune_filters(*network, 0.25), 0.25);
  EXPECT_EQ(twice->filters().front().count, 9) << "of 16: 12, then 9";
}

TEST(FilterPruning, KeepsTheExitsWhereARulePlacedThem) {
  const auto network =
      random_network(config("mobilenet_v2", 5, {{"input", "32"}, {"width", "0.35"}}));
  const auto pruned = prune_filters(*network, 0.8);
  for (std::int64_t exit = 1; exit <= network->num_exits(); ++exit)
    EXPECT_EQ(pruned->exit(exit).after_block, network->exit(exit).after_block);
}

TEST(FilterPruning, RefusesWhatCannotBePruned) {
  const auto network = random_network(config("cnn9", 1, {{"exit-after", "4"}}));
  for (const double ratio : {1.0, 1.5, -0.1, std::numeric_limits<double>::quiet_NaN()})
    test::expect_error<ConfigError>([&] { static_cast<void>(prune_filters(*network, ratio)); },
                                    {"[prune] ratio", "0 <= ratio < 1"});
  const auto plain = random_network(config("cnn9", 0));
  test::expect_error<ConfigError>([&] { static_cast<void>(prune_filters(*plain, 0.1)); },
                                  {"cnn9", "no early exit"});
  state_of(*network, "block2.conv1.weight").mutable_value().mutable_data()[3] =
      std::numeric_limits<float>::quiet_NaN();
  test::expect_error<NumericError>([&] { static_cast<void>(prune_filters(*network, 0.1)); },
                                   {"block2.conv1.weight"});
}

TEST(FilterCounts, RefusesWhatNoConvolutionHas) {
  const auto refuses = [](const std::string& filters, const std::string& text) {
    Rng rng(1);
    test::expect_error<ConfigError>(
        [&] {
          static_cast<void>(make_network(config("resnet44", 2, {{"filters", filters}}), rng));
        },
        {"[resnet44] option filters", text});
  };
  refuses("layer1.0.conv1", "NAME:COUNT");
  refuses("layer1.0.conv1:", "NAME:COUNT");
  refuses(":3", "NAME:COUNT");
  refuses("layer1.0.conv1:3x", "NAME:COUNT");
  refuses("layer1.0.conv1:3,layer1.0.conv1:4", "each once");
  refuses("layer1.0.conv1:0", "1 to 16 filters of layer1.0.conv1");
  refuses("layer1.0.conv1:17", "1 to 16 filters of layer1.0.conv1");
  refuses("layer1.0.conv2:8", "no sum takes");
}

}  // namespace
}  // namespace branchy
