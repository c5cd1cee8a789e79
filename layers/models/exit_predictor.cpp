#include "layers/models/exit_predictor.h"

#include <fmt/core.h>

#include "layers/activation.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/models/conv_bn_relu.h"
#include "layers/models/network_parts.h"
#include "layers/pool2d.h"
#include "layers/predictor_stage.h"

namespace branchy {

namespace {

using Blocks = std::vector<MultiExitNetwork::Block>;

constexpr std::int64_t kStageOutputs = 128;  // channels of the last stage, at 2x2

void add_linear(Sequential& layers, const std::string& name, LinearParams params, Rng& rng) {
  layers.add(name, std::make_unique<Linear>(params, rng));
}

void add_relu(Sequential& layers, const std::string& name) {
  layers.add(name, std::make_unique<Activation>(ActivationKind::kRelu));
}

void add_stage(Blocks& blocks, std::int64_t number, PredictorStageParams params, Rng& rng) {
  const std::string name = fmt::format("stage{}", number);
  blocks.push_back({name, name + ".", std::make_unique<PredictorStage>(params, rng)});
}

// conv 3->16 /2, then stages to 32x8x8, 64x4x4 and 128x2x2.
Blocks stages(bool concat_and_excite, Rng& rng) {
  Blocks blocks;
  auto stem = std::make_unique<Sequential>();
  add_conv_bn_relu(*stem, {"conv", "bn"},
                   {.in = 3, .out = 16, .kernel = 3, .stride = 2, .padding = 1}, rng);
  blocks.push_back({"stem", "stem.", std::move(stem)});
  for (std::int64_t in = 16; in < kStageOutputs; in *= 2)
    add_stage(blocks, std::ssize(blocks),
              {.in = in, .out = 2 * in, .concat_and_excite = concat_and_excite}, rng);
  return blocks;
}

struct FeatureShape {
  std::int64_t channels, size;
};

FeatureShape read_feature_shape(OptionReader& options) {
  return {.channels = options.integer("channels", 16, 1, 4096),
          .size = options.integer("size", 32, 2, 4096)};
}

// The largest side of 16, 8, 4 or 2 that whole windows pool the feature to.
std::int64_t pooled_side(OptionReader& options, std::int64_t size) {
  for (std::int64_t side = 16; side >= 2; side /= 2)
    if (size % side == 0) return side;
  options.fail("size", "an even height and width of the feature");
}

// Average pooling, then the stages of the paper; the last of them ends in 128x2x2.
Blocks feature_stages(OptionReader& options, const FeatureShape& feature, Rng& rng) {
  Blocks blocks;
  std::int64_t side = pooled_side(options, feature.size);
  if (const std::int64_t window = feature.size / side; window > 1)
    blocks.push_back({"pool", "pool.",
                      std::make_unique<Pool2d>(
                          PoolOp{.kind = PoolKind::kAverage, .kernel = window, .stride = window})});
  std::int64_t in = feature.channels;
  std::int64_t number = 0;
  for (; side > 2; side /= 2) {
    const std::int64_t out = kStageOutputs * 4 / side;  // 32 at 8x8, 64 at 4x4, 128 at 2x2
    add_stage(blocks, ++number, {.in = in, .out = out}, rng);
    in = out;
  }
  return blocks;
}

LayerPtr stages_head(std::int64_t inputs, std::int64_t outputs, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("flatten", std::make_unique<Flatten>());
  add_linear(*layers, "fc1", {.in = inputs, .out = 64}, rng);
  add_relu(*layers, "relu");
  add_linear(*layers, "fc2", {.in = 64, .out = outputs}, rng);
  return layers;
}

Blocks fully_connected(Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("flatten", std::make_unique<Flatten>());
  add_linear(*layers, "fc1", {.in = 3072, .out = 128}, rng);
  add_relu(*layers, "relu");
  Blocks blocks;
  blocks.push_back({"hidden", "", std::move(layers)});
  return blocks;
}

// LeCun et al. 1998 with ReLU and max pooling: 6 and 16 maps 5x5 without padding.
Blocks lenet(Rng& rng) {
  Blocks blocks;
  for (const auto& [in, out] : {std::pair<std::int64_t, std::int64_t>{3, 6}, {6, 16}}) {
    const std::string name = fmt::format("conv{}", blocks.size() + 1);
    auto layers = std::make_unique<Sequential>();
    layers->add(name, std::make_unique<Conv2d>(
                          Conv2dParams{.in = in, .out = out, .kernel = 5, .bias = true}, rng));
    add_relu(*layers, "relu");
    layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kMax}));
    blocks.push_back({name, "", std::move(layers)});
  }
  return blocks;
}

LayerPtr lenet_head(std::int64_t outputs, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("flatten", std::make_unique<Flatten>());
  add_linear(*layers, "fc1", {.in = 400, .out = 120}, rng);
  add_relu(*layers, "relu1");
  add_linear(*layers, "fc2", {.in = 120, .out = 84}, rng);
  add_relu(*layers, "relu2");
  add_linear(*layers, "fc3", {.in = 84, .out = outputs}, rng);
  return layers;
}

LayerPtr linear_head(std::int64_t outputs, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  add_linear(*layers, "fc2", {.in = 128, .out = outputs}, rng);
  return layers;
}

}  // namespace

std::vector<std::string> exit_predictor_kinds() {
  return {"ours", "plain", "fc", "lenet", std::string(kFeaturePredictor)};
}

std::unique_ptr<MultiExitNetwork> exit_predictor(const NetworkConfig& config, Rng& rng) {
  require_no_exits(config);
  OptionReader options(config);
  const std::string kind = options.choice("kind", exit_predictor_kinds());
  const bool reads_feature = kind == kFeaturePredictor;
  const FeatureShape feature = reads_feature ? read_feature_shape(options) : FeatureShape{3, 32};
  options.finish();
  const Shape input{1, feature.channels, feature.size, feature.size};
  Blocks blocks = kind == "fc"      ? fully_connected(rng)
                  : kind == "lenet" ? lenet(rng)
                  : reads_feature   ? feature_stages(options, feature, rng)
                                    : stages(kind == "ours", rng);
  Shape end = input;
  for (const auto& block : blocks) end = block.layer->output_shape(end);
  LayerPtr head = kind == "fc"      ? linear_head(config.classes, rng)
                  : kind == "lenet" ? lenet_head(config.classes, rng)
                                    : stages_head(end.size(), config.classes, rng);
  std::vector<MultiExitNetwork::Exit> exits;
  exits.push_back({.name = "final",
                   .state_prefix = "",
                   .after_block = std::ssize(blocks),
                   .layer = std::move(head)});
  return std::make_unique<MultiExitNetwork>(config, input, std::move(blocks), std::move(exits));
}

}  // namespace branchy
