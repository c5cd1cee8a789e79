#include "layers/models/resnet44.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/models/network_parts.h"
#include "layers/pool2d.h"
#include "layers/residual_block.h"
#include "layers/sequential.h"

namespace branchy {

namespace {

constexpr std::int64_t kBlocksPerStage = 7;  // depth 6 n + 2 = 44

/// An early exit: where it hangs, its residual blocks, then max pooling 2x2 and a linear layer.
struct ExitPlan {
  std::int64_t after_residual_block, num_blocks;
};

std::vector<ExitPlan> exit_plans(std::int64_t early_exits) {
  switch (early_exits) {
    case 2:  // Table V of Dong et al.
      return {{1, 2}, {8, 1}};
    case 3:  // Table VI of Dong et al.
      return {{1, 2}, {4, 1}, {8, 1}};
    default:
      throw ConfigError(
          fmt::format("[resnet44] {} early exits; give 2 or 3 (as in Dong et al.), 0 for the plain "
                      "backbone, or "
                      "places with exit-after or placement",
                      early_exits));
  }
}

MultiExitNetwork::Block stem(Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("conv1", std::make_unique<Conv2d>(
                           Conv2dParams{.in = 3, .out = 16, .kernel = 3, .padding = 1}, rng));
  layers->add("bn1", std::make_unique<BatchNorm2d>(
                         BatchNorm2dParams{.channels = 16, .activation = ActivationKind::kRelu}));
  return {.name = "stem", .state_prefix = "", .layer = std::move(layers)};
}

MultiExitNetwork::Block residual(const std::string& name, ResidualBlockParams params, Rng& rng) {
  return {name, name + ".", std::make_unique<ResidualBlock>(params, rng)};
}

/// `inner` has the filters of the first convolution of each block.
LayerPtr early_exit(const Shape& feature, const std::vector<std::int64_t>& inner,
                    std::int64_t classes, Rng& rng) {
  const std::int64_t width = feature[1];
  auto layers = std::make_unique<Sequential>();
  for (std::size_t i = 0; i < inner.size(); ++i)
    layers->add(fmt::format("block{}", i),
                std::make_unique<ResidualBlock>(
                    ResidualBlockParams{.in = width, .out = width, .inner = inner[i]}, rng));
  const std::int64_t features = width * (feature[2] / 2) * (feature[3] / 2);
  layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kMax}));
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("fc", std::make_unique<Linear>(LinearParams{.in = features, .out = classes}, rng));
  return layers;
}

std::vector<PaperExit> paper_exits(std::int64_t early_exits, std::int64_t classes,
                                   FilterCounts& filters) {
  std::vector<PaperExit> exits;
  for (const ExitPlan& plan : exit_plans(early_exits)) {
    const std::int64_t number = std::ssize(exits) + 1;
    exits.push_back({1 + plan.after_residual_block,
                     [plan, number, classes, &filters](const Shape& feature, Rng& rng) {
                       std::vector<std::int64_t> inner;
                       for (std::int64_t i = 0; i < plan.num_blocks; ++i)
                         inner.push_back(filters.of(
                             fmt::format("exits.{}.block{}.conv1", number, i), feature[1]));
                       return early_exit(feature, inner, classes, rng);
                     }});
  }
  return exits;
}

LayerPtr final_classifier(std::int64_t classes, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kAverage, .kernel = 0}));
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("fc", std::make_unique<Linear>(LinearParams{.in = 64, .out = classes}, rng));
  return layers;
}

}  // namespace

// stem 3->16, then three stages of seven residual blocks:
//   layer1 16x32x32, layer2 32x16x16, layer3 64x8x8; global average pool; linear 64->classes.
std::unique_ptr<MultiExitNetwork> resnet44(const NetworkConfig& config, Rng& rng) {
  OptionReader options(config);
  FilterCounts filters(options);
  const Shortcut shortcut = options.choice("shortcut", {"projection", "option-a"}) == "option-a"
                                ? Shortcut::kOptionA
                                : Shortcut::kProjection;
  std::vector<MultiExitNetwork::Block> blocks;
  blocks.push_back(stem(rng));
  std::int64_t in = 16;
  for (const std::int64_t stage : {1, 2, 3}) {
    const std::int64_t width = std::int64_t{8} << stage;
    for (std::int64_t i = 0; i < kBlocksPerStage; ++i) {
      const std::int64_t stride = stage > 1 && i == 0 ? 2 : 1;
      const std::string name = fmt::format("layer{}.{}", stage, i);
      blocks.push_back(
          residual(name, {in, width, stride, shortcut, filters.of(name + ".conv1", width)}, rng));
      in = width;
    }
  }

  return assemble(
      config, options,
      {.filters = filters,
       .input = Shape{1, 3, 32, 32},
       .blocks = std::move(blocks),
       .paper_exits =
           [&](std::int64_t count) { return paper_exits(count, config.classes, filters); },
       .final_exit = [&](const Shape&, Rng& r) { return final_classifier(config.classes, r); }},
      rng);
}

}  // namespace branchy
