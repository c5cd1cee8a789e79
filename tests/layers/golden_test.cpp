// A small network with two exits, held against what PyTorch computed (tests/golden/make_golden.py).
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "core/threads.h"
#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/network.h"
#include "layers/pool2d.h"
#include "layers/residual_block.h"
#include "layers/sequential.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/sgd.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

constexpr std::int64_t kClasses = 4, kBatch = 6, kSize = 8;

LayerPtr classifier(PoolOp pool, std::int64_t features, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("pool", std::make_unique<Pool2d>(pool));
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("fc", std::make_unique<Linear>(LinearParams{.in = features, .out = kClasses}, rng));
  return layers;
}

MultiExitNetwork make_golden_network() {
  Rng rng(0);
  auto stem = std::make_unique<Sequential>();
  stem->add("conv1", std::make_unique<Conv2d>(
                         Conv2dParams{.in = 3, .out = 8, .kernel = 3, .padding = 1}, rng));
  stem->add("bn1", std::make_unique<BatchNorm2d>(
                       BatchNorm2dParams{.channels = 8, .activation = ActivationKind::kRelu}));
  std::vector<MultiExitNetwork::Block> blocks;
  blocks.push_back({"stem", "", std::move(stem)});
  blocks.push_back({"layer1.0", "layer1.0.",
                    std::make_unique<ResidualBlock>(ResidualBlockParams{.in = 8, .out = 8}, rng)});
  blocks.push_back(
      {"layer1.1", "layer1.1.",
       std::make_unique<ResidualBlock>(ResidualBlockParams{.in = 8, .out = 16, .stride = 2}, rng)});
  std::vector<MultiExitNetwork::Exit> exits;
  exits.push_back({"exits.1", "exits.1.", 2,
                   classifier({.kind = PoolKind::kMax}, 8 * (kSize / 2) * (kSize / 2), rng)});
  exits.push_back({"final", "", 3, classifier({.kind = PoolKind::kAverage, .kernel = 0}, 16, rng)});
  return {{.name = "golden", .classes = kClasses, .early_exits = 1},
          {1, 3, kSize, kSize},
          std::move(blocks),
          std::move(exits)};
}

/// The formula that the generator states: sin(0.37 (i + 1) + 1.7 seed).
double wave(std::size_t i, double seed) {
  return std::sin(0.37 * (static_cast<double>(i) + 1.0) + 1.7 * seed);
}

void fill(const std::vector<StateEntry>& state) {
  double seed = 0.0;
  for (const StateEntry& entry : state) {
    if (entry.is_buffer) continue;
    Tensor& tensor = entry.variable->mutable_value();
    const double fan_in = static_cast<double>(tensor.size()) / static_cast<double>(tensor.dim(0));
    const bool matrix = tensor.shape().rank() > 1;
    const bool norm = entry.name.find("bn") != std::string::npos ||
                      entry.name.find("shortcut.1") != std::string::npos;
    const double shift = norm && !matrix && entry.name.ends_with("weight") ? 1.0 : 0.0;
    const auto values = tensor.mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] =
          static_cast<float>(shift + (matrix ? std::sqrt(2.0 / fan_in) : 0.2) * wave(i, seed));
    seed += 1.0;
  }
}

class Golden : public ::testing::Test {
 protected:
  Golden() {
    set_num_threads(1);  // tiny tensors gain nothing from more
    fill(state_);
    const auto pixels = images_.mutable_data();
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<float>(1.5 * wave(i, 100.0));
    for (std::int64_t i = 0; i < kBatch; ++i) labels_.push_back(i % kClasses);
  }

  std::vector<Variable> forward(Mode mode) {
    return network_.forward(Variable(images_), {.mode = mode});
  }
  Variable loss_of(const std::vector<Variable>& logits) {
    std::vector<Variable> losses;
    for (const Variable& values : logits)
      losses.push_back(softmax_cross_entropy(values, labels_, 0.1F));
    return weighted_sum(losses, std::vector<float>{0.4F, 0.6F});
  }
  void expect_golden(const std::string& name, const Tensor& actual, double tolerance) {
    EXPECT_LT(test::relative_error(actual, file_.tensor(name)), tolerance) << name;
  }

  SafetensorsFile file_{BRANCHY_GOLDEN_FILE};
  MultiExitNetwork network_ = make_golden_network();
  std::vector<StateEntry> state_ = network_.state();
  Tensor images_{Shape{kBatch, 3, kSize, kSize}};
  std::vector<std::int64_t> labels_;
};

TEST_F(Golden, LogitsGradientsAndStatisticsAgree) {
  const auto logits = forward(Mode::kTrain);
  ASSERT_EQ(logits.size(), 2U);
  expect_golden("logits.train.1", logits[0].value(), 1e-4);
  expect_golden("logits.train.2", logits[1].value(), 1e-4);
  loss_of(logits).backward();
  std::size_t compared = 0;
  for (const StateEntry& entry : state_) {
    if (entry.is_buffer)
      expect_golden("running." + entry.name, entry.variable->value(), 1e-4);
    else
      expect_golden("grad." + entry.name, entry.variable->grad(), 1e-3);
    ++compared;
  }
  EXPECT_EQ(compared, 34U);
  const auto eval = forward(Mode::kEval);
  expect_golden("logits.eval.1", eval[0].value(), 1e-4);
  expect_golden("logits.eval.2", eval[1].value(), 1e-4);
}

TEST_F(Golden, TenStepsOfSgdAgree) {
  std::vector<OptimizedParameter> parameters;
  for (const StateEntry& entry : state_)
    if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable});
  Sgd sgd(parameters, {.momentum = 0.9F, .weight_decay = 5e-4F});
  static_cast<void>(forward(Mode::kTrain));  // the generator's first pass, without a step
  Tensor losses(Shape{10});
  for (float& loss_value : losses.mutable_data()) {
    const Variable loss = loss_of(forward(Mode::kTrain));
    sgd.clear_gradients();
    loss.backward();
    sgd.step(0.1F);
    loss_value = loss.value().item();
  }
  expect_golden("losses", losses, 1e-3);
  for (const OptimizedParameter& parameter : parameters)
    expect_golden("wanted." + parameter.name, parameter.variable->value(), 1e-3);
}

}  // namespace
}  // namespace branchy
