// The lowered operations against a naive double reference, and what fusion leaves of a graph.
#include "infer/plan.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/half.h"
#include "infer/exit_runner.h"
#include "infer/plan_graph.h"
#include "infer/program.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_plan.h"

namespace branchy {
namespace {

using test::expect_error;
using test::LoweredLayer;
using test::random_tensor;

/// Lowers one source of operations to a plan and to the reference.
struct GraphCase {
  std::string name;
  Shape src;
  LoweredLayer::Lower lower;
  std::size_t num_ops;  ///< after fusion
};

void PrintTo(const GraphCase& graph, std::ostream* out) { *out << graph.name; }

ConvolutionOp convolution(std::uint64_t seed, const Shape& weights, bool bias = false) {
  Rng rng(seed);
  ConvolutionOp op;
  op.weights = random_tensor(weights, rng, -0.5F, 0.5F);
  op.padding = (weights[2] - 1) / 2;
  if (bias) op.bias = random_tensor({weights[0]}, rng);
  return op;
}

BatchNormOp batch_norm(std::uint64_t seed, std::int64_t channels) {
  Rng rng(seed);
  const Shape shape{channels};
  return {random_tensor(shape, rng), random_tensor(shape, rng), random_tensor(shape, rng),
          random_tensor(shape, rng, 0.1F, 2.0F)};
}

LinearOp linear(std::uint64_t seed, std::int64_t in, std::int64_t out, bool bias = true) {
  Rng rng(seed);
  LinearOp op;
  op.weights = random_tensor({out, in}, rng, -0.3F, 0.3F);
  if (bias) op.bias = random_tensor({out}, rng);
  return op;
}

std::vector<GraphCase> graph_cases() {
  using enum ActivationKind;
  using P = PlanBuilder;
  using V = PlanValue;
  std::vector<GraphCase> cases;
  const auto add = [&](std::string name, Shape src, std::size_t num_ops, LoweredLayer::Lower f) {
    cases.push_back({std::move(name), src, std::move(f), num_ops});
  };
  add("ConvBnRelu", {1, 3, 9, 7}, 1, [](P& p, V x) {
    return p.activation(
        p.batch_norm(p.convolution(x, convolution(1, {16, 3, 3, 3})), batch_norm(2, 16)), kRelu);
  });
  add("ConvBiasBnRelu6", {1, 16, 8, 8}, 1, [](P& p, V x) {
    return p.activation(
        p.batch_norm(p.convolution(x, convolution(1, {12, 16, 3, 3}, true)), batch_norm(2, 12)),
        kRelu6);
  });
  add("GroupedStridedConv", {1, 8, 9, 9}, 1, [](P& p, V x) {
    ConvolutionOp op = convolution(3, {16, 2, 3, 3}, true);
    op.groups = 4;
    op.stride = 2;
    return p.batch_norm(p.convolution(x, op), batch_norm(4, 16));
  });
  add("DepthwiseConv", {1, 24, 7, 7}, 1, [](P& p, V x) {
    ConvolutionOp op = convolution(5, {24, 1, 3, 3});
    op.groups = 24;
    return p.activation(p.batch_norm(p.convolution(x, op), batch_norm(6, 24)), kRelu6);
  });
  add("TransposedConvBnRelu", {1, 16, 5, 6}, 1, [](P& p, V x) {
    ConvolutionOp op = convolution(7, {16, 8, 4, 4});
    op.transposed = true;
    op.stride = 2;
    op.padding = 1;
    return p.activation(p.batch_norm(p.convolution(x, op), batch_norm(8, 8)), kRelu);
  });
  add("GroupedTransposedConvBn", {1, 8, 5, 5}, 1, [](P& p, V x) {
    ConvolutionOp op = convolution(7, {8, 3, 2, 2});
    op.transposed = true;
    op.stride = 2;
    op.padding = 0;
    op.groups = 2;
    return p.batch_norm(p.convolution(x, op), batch_norm(8, 6));
  });
  add("ResidualIdentity", {1, 16, 8, 8}, 3, [](P& p, V image) {
    const V x = p.convolution(image, convolution(9, {16, 16, 3, 3}));
    const V inner = p.activation(p.convolution(x, convolution(1, {16, 16, 3, 3})), kRelu);
    const V residual =
        p.batch_norm(p.convolution(inner, convolution(2, {16, 16, 3, 3})), batch_norm(3, 16));
    return p.activation(p.add(residual, x), kRelu);
  });
  add("ResidualReadAgain", {1, 16, 8, 8}, 3, [](P& p, V image) {
    const V x = p.convolution(image, convolution(9, {16, 16, 3, 3}));
    const V sum = p.add(p.convolution(x, convolution(1, {16, 16, 3, 3})), x);
    return p.add(p.activation(sum, kRelu), x);
  });
  add("ResidualProjection", {1, 16, 8, 8}, 3, [](P& p, V x) {
    ConvolutionOp down = convolution(1, {32, 16, 3, 3});
    down.stride = 2;
    ConvolutionOp project = convolution(2, {32, 16, 1, 1});
    project.stride = 2;
    const V a =
        p.convolution(p.activation(p.convolution(x, down), kRelu), convolution(4, {32, 32, 3, 3}));
    return p.activation(p.add(a, p.convolution(x, project)), kRelu);
  });
  add("ResidualOptionA", {1, 8, 7, 7}, 3, [](P& p, V image) {
    const V x = p.activation(p.convolution(image, convolution(1, {8, 8, 3, 3})), kRelu);
    ConvolutionOp down = convolution(2, {16, 8, 3, 3});
    down.stride = 2;
    const V shortcut = p.subsample(x, {.stride = 2, .front = 4, .behind = 4});
    return p.activation(p.add(p.batch_norm(p.convolution(x, down), batch_norm(3, 16)), shortcut),
                        kRelu);
  });
  add("SubsampleAlone", {1, 3, 9, 6}, 1,
      [](P& p, V x) { return p.subsample(x, {.stride = 2, .front = 1, .behind = 4}); });
  add("SumOfActivations", {1, 16, 4, 4}, 3, [](P& p, V x) {
    const V a = p.activation(p.convolution(x, convolution(1, {8, 16, 3, 3})), kRelu);
    const V b = p.activation(p.convolution(x, convolution(2, {8, 16, 3, 3})), kRelu);
    return p.add(a, b);
  });
  add("PlainBatchNormRelu", {1, 16, 5, 5}, 2, [](P& p, V x) {
    const V a = p.activation(p.batch_norm(x, batch_norm(1, 16)), kRelu);
    return p.activation(a, kSigmoid);
  });
  add("Pools", {1, 16, 9, 9}, 4, [](P& p, V x) {
    const V a = p.convolution(x, convolution(1, {24, 16, 3, 3}));
    const V b = p.pool(a, {.kind = PoolKind::kMax, .kernel = 3, .stride = 2, .padding = 1});
    const V c = p.pool(b, {.kind = PoolKind::kAverage, .kernel = 3, .stride = 1, .padding = 1});
    return p.pool(c, {.kind = PoolKind::kAverage, .kernel = 0});
  });
  add("SqueezeExciteConcat", {1, 16, 8, 8}, 8, [](P& p, V x) {
    const V a = p.convolution(x, convolution(1, {16, 16, 3, 3}));
    const V both[] = {a,
                      p.pool(x, {.kind = PoolKind::kMax, .kernel = 3, .stride = 1, .padding = 1})};
    const V y = p.concat(both);
    V s = p.flatten(p.pool(y, {.kind = PoolKind::kAverage, .kernel = 0}));
    s = p.activation(p.linear(s, linear(2, 32, 4)), kRelu);
    s = p.activation(p.linear(s, linear(3, 4, 32)), kSigmoid);
    return p.scale_channels(y, s);
  });
  add("FlattenLinearBnRelu", {1, 16, 6, 6}, 4, [](P& p, V x) {
    const V a = p.convolution(x, convolution(1, {20, 16, 3, 3}));
    const V b = p.activation(
        p.batch_norm(p.linear(p.flatten(a), linear(2, 720, 50, false)), batch_norm(3, 50)), kRelu);
    return p.linear(b, linear(4, 50, 10));
  });
  add("LargeLinear", {1, 16, 8, 8}, 3, [](P& p, V x) {
    const V a = p.flatten(p.convolution(x, convolution(1, {16, 16, 3, 3})));
    return p.activation(p.linear(a, linear(2, 1024, 1030)), kRelu);
  });
  add("NormBeforeMeans", {1, 24, 5, 6}, 3, [](P& p, V x) {
    const V means =
        p.pool(p.batch_norm(x, batch_norm(1, 24)), {.kind = PoolKind::kAverage, .kernel = 0});
    return p.linear(p.flatten(means), linear(2, 24, 7));
  });
  add("NormBeforeMeansAlone", {1, 24, 5, 6}, 2, [](P& p, V x) {
    return p.pool(p.batch_norm(x, batch_norm(1, 24)), {.kind = PoolKind::kAverage, .kernel = 0});
  });
  add("NormReluBeforeMeans", {1, 24, 5, 6}, 4, [](P& p, V x) {
    const V norm = p.activation(p.batch_norm(x, batch_norm(1, 24)), kRelu);
    const V means = p.pool(norm, {.kind = PoolKind::kAverage, .kernel = 0});
    return p.linear(p.flatten(means), linear(2, 24, 7, false));
  });
  add("FlattenAlone", {1, 16, 6, 6}, 4, [](P& p, V x) {
    const V a = p.flatten(p.convolution(x, convolution(1, {20, 16, 3, 3})));
    return p.activation(p.batch_norm(a, batch_norm(3, 720)), kSigmoid);
  });
  add("ConcatOfRows", {1, 16, 4, 4}, 4, [](P& p, V x) {
    const V rows = p.flatten(p.pool(x, {.kind = PoolKind::kAverage, .kernel = 0}));
    const V both[] = {rows, p.linear(rows, linear(1, 16, 5))};
    return p.concat(both);
  });
  add("Nothing", {1, 4, 3, 3}, 0, [](P&, V x) { return x; });
  return cases;
}

NetworkPart lower_only(const GraphCase& graph, std::unique_ptr<MultiExitNetwork>& network) {
  test::ReferencePlan shapes(graph.src);
  const Shape dst = shapes.shape(graph.lower(shapes, shapes.input()));
  std::vector<MultiExitNetwork::Block> blocks;
  blocks.push_back({"block", "block.", std::make_unique<LoweredLayer>(dst, graph.lower)});
  std::vector<MultiExitNetwork::Exit> exits;
  exits.push_back(
      {"final", "final.", 1,
       std::make_unique<LoweredLayer>(Shape{1, dst.size()},
                                      [](PlanBuilder& p, PlanValue x) { return p.flatten(x); })});
  network = std::make_unique<MultiExitNetwork>(NetworkConfig{}, graph.src, std::move(blocks),
                                               std::move(exits));
  return {0, 1, 1, 1};
}

// Relative to the larger of 1 and the result. Winograd rounds to about 2e-6 of the largest value of
// an image (core/kernels/inference_winograd), and three such layers in a row make results of
// several tens beside some near 0: 4.5e-5 was seen.
constexpr double kTolerance = 1e-4;

class PlanGraphs : public testing::TestWithParam<GraphCase> {};

TEST_P(PlanGraphs, AgreeWithTheDoubleReference) {
  const GraphCase& graph = GetParam();
  std::unique_ptr<MultiExitNetwork> network;
  const NetworkPart part = lower_only(graph, network);
  const auto plan = Plan::lower(*network, part);
  EXPECT_EQ(plan->graph().segments[0].ops.size(), graph.num_ops);
  ExitRunner runner(plan);
  Rng rng(11);
  for (const std::int64_t batch : {1, 3}) {
    const Tensor src = random_tensor(graph.src.with_batch(batch), rng);
    test::ReferencePlan reference(src.shape());
    const PlanValue result = graph.lower(reference, reference.input());
    const test::Array expected =
        reference.run(test::to_array(src), result, test::Statistics::kRunning);
    runner.start(src);
    const Tensor flat = runner.next_exit().logits;
    EXPECT_EQ(flat.size(), expected.shape.size());
    EXPECT_LT(test::largest_error(flat, expected.values), kTolerance) << "batch " << batch;
    EXPECT_LT(test::largest_error(runner.feature(), expected.values), kTolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Plan, PlanGraphs, testing::ValuesIn(graph_cases()),
                         [](const auto& graph) { return graph.param.name; });

TEST(Plan, ResidualSumOfResNet44CostsNoStepOfItsOwn) {
  const auto network = test::lived_in_network(2);
  const auto plan = Plan::lower(*network, network->whole());
  for (const auto& segment : plan->graph().segments) {
    if (segment.is_exit) continue;
    // stem: 1 convolution; a residual block: 2, or 3 with a projection.
    EXPECT_LE(segment.ops.size(), 3U);
    for (const auto& op : segment.ops) EXPECT_EQ(op.kind, detail::PlanOpKind::kConvolution);
  }
}

TEST(Plan, AnExitEndsInOneStepForPoolingAndLinearLayer) {
  for (const NetworkConfig& config :
       {NetworkConfig{"resnet44", 10, 2, {}}, NetworkConfig{"alexnet", 10, 2, {}},
        NetworkConfig{"mobilenet_v2", 17, 5, {{"input", "96"}, {"width", "0.5"}}}}) {
    const auto network = test::lived_in_network(config);
    // All exits but AlexNet's final one, which has linear layers alone.
    const std::int64_t exits = config.name == "alexnet" ? 2 : network->num_exits();
    const auto plan = Plan::lower(*network, network->whole());
    const auto program = plan->program(1);
    std::int64_t heads = 0;
    for (std::size_t i = 0; i < plan->graph().segments.size(); ++i) {
      const auto& segment = plan->graph().segments[i];
      if (!segment.is_exit || segment.number > exits) continue;
      const auto& last = program->steps[program->segment_steps[i].second - 1];
      EXPECT_EQ(last.primitive.implementation(), "own:exit_head")
          << config.name << " exit " << segment.number;
      for (const auto& op : segment.ops) {
        EXPECT_NE(op.kind, detail::PlanOpKind::kPool);
        EXPECT_NE(op.kind, detail::PlanOpKind::kLinear);
      }
      ++heads;
    }
    EXPECT_EQ(heads, exits);
  }
}

TEST(Plan, KeepsItsWeightsWhenTheNetworkChanges) {
  const auto network = test::lived_in_network(2);
  const auto plan = Plan::lower(*network, network->whole());
  Rng rng(3);
  const Tensor image = random_tensor({1, 3, 32, 32}, rng);
  ExitRunner runner(plan);
  runner.start(image);
  const Tensor before = runner.run_to(3).logits;
  for (StateEntry& entry : network->state()) entry.variable->mutable_value().fill(0.0F);
  ExitRunner other(Plan::lower(*network, network->whole()));
  ExitRunner again(plan);
  again.start(image);
  EXPECT_TRUE(test::same_bits(before, again.run_to(3).logits));
}

TEST(Plan, HotOperationsOfResNet44NeverFallBackToReferenceCode) {
  const auto network = test::lived_in_network(2);
  const auto plan = Plan::lower(*network, network->whole());
  for (const std::int64_t batch : {1, 32}) {
    const auto program = plan->program(batch);
    for (const auto& step : program->steps) {
      const std::string name = step.primitive.implementation();
      EXPECT_EQ(name.find("ref"), std::string::npos) << name << ", batch " << batch;
    }
    EXPECT_LE(program->num_reorder_steps(), 1) << "batch " << batch;
  }
}

TEST(Plan, KeepsLargeLinearLayersAsHalvesWhereTheseHoldThemExactly) {
  Rng rng(1);
  const Tensor src = random_tensor({2, 1030}, rng);
  LinearOp op = linear(2, 1030, 1030);
  for (const bool halves : {false, true}) {
    if (halves)
      for (float& w : op.weights.mutable_data()) w = half_to_float(float_to_half(w));
    const GraphCase graph{
        "", {1, 1030}, [&](PlanBuilder& p, PlanValue x) { return p.linear(x, op); }, 1};
    std::unique_ptr<MultiExitNetwork> network;
    const NetworkPart part = lower_only(graph, network);
    const auto plan = Plan::lower(*network, part);
    EXPECT_EQ(plan->program(2)->steps[0].primitive.implementation(),
              halves ? "own:linear_panels_f16" : "own:linear_panels");
    test::ReferencePlan reference(src.shape());
    const PlanValue result = graph.lower(reference, reference.input());
    const test::Array expected =
        reference.run(test::to_array(src), result, test::Statistics::kRunning);
    ExitRunner runner(plan);
    runner.start(src);
    EXPECT_LT(test::largest_error(runner.next_exit().logits, expected.values), 2e-5);
  }
}

TEST(Plan, RefusesPartsThatTheNetworkDoesNotHave) {
  const auto network = test::lived_in_network(2);
  const auto lower = [&](NetworkPart part) { static_cast<void>(Plan::lower(*network, part)); };
  expect_error<ConfigError>([&] { lower({0, 99, 1, 1}); }, {"[plan]", "99"});
  expect_error<ConfigError>([&] { lower({5, 3, 1, 0}); }, {"[plan]"});
  expect_error<ConfigError>([&] { lower({0, 9, 1, 3}); }, {"exit 3"});
  expect_error<ConfigError>([&] { lower({0, 9, 1, 7}); }, {"7"});
}

}  // namespace
}  // namespace branchy
