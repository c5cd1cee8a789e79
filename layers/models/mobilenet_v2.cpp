#include "layers/models/mobilenet_v2.h"

#include <fmt/core.h>

#include <algorithm>

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/inverted_residual.h"
#include "layers/linear.h"
#include "layers/models/network_parts.h"
#include "layers/pool2d.h"
#include "layers/sequential.h"

namespace branchy {

namespace {

/// Table 2 of Sandler et al.: `repeats` blocks, the first of them with the stride.
struct Stage {
  std::int64_t expansion, channels, repeats, stride;
};
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

/// Channels times the multiplier, as a multiple of 8 that is not below 90 % of it.
std::int64_t scaled(std::int64_t channels, double width) {
  const double wanted = static_cast<double>(channels) * width;
  const std::int64_t rounded =
      std::max<std::int64_t>(8, static_cast<std::int64_t>(wanted + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * wanted ? rounded + 8 : rounded;
}

MultiExitNetwork::Block conv_bn_relu6(const std::string& name, Conv2dParams conv, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("0", std::make_unique<Conv2d>(conv, rng));
  layers->add("1", std::make_unique<BatchNorm2d>(BatchNorm2dParams{
                       .channels = conv.out, .activation = ActivationKind::kRelu6}));
  return {name, name + ".", std::move(layers)};
}

struct Variant {
  double width;
  bool small_images;
  [[nodiscard]] std::int64_t last_channels() const { return scaled(1280, std::max(1.0, width)); }
};

std::vector<MultiExitNetwork::Block> trunk(const Variant& variant, FilterCounts& filters,
                                           Rng& rng) {
  std::vector<MultiExitNetwork::Block> blocks;
  const auto name = [&] { return fmt::format("features.{}", blocks.size()); };
  std::int64_t in = scaled(32, variant.width);
  // Narrow networks add the stem to the first block's result.
  if (in != scaled(kStages[0].channels, variant.width)) in = filters.of("features.0.0", in);
  blocks.push_back(conv_bn_relu6(
      name(),
      {.in = 3, .out = in, .kernel = 3, .stride = variant.small_images ? 1 : 2, .padding = 1},
      rng));
  for (const Stage& stage : kStages) {
    const bool keeps_size = variant.small_images && stage.channels == 24;
    const std::int64_t out = scaled(stage.channels, variant.width);
    for (std::int64_t i = 0; i < stage.repeats; ++i) {
      InvertedResidualParams params{.in = in,
                                    .out = out,
                                    .stride = i == 0 && !keeps_size ? stage.stride : 1,
                                    .expansion = stage.expansion};
      if (stage.expansion > 1)
        params.hidden = filters.of(name() + ".conv.0.0", in * stage.expansion);
      blocks.push_back({name(), name() + ".", std::make_unique<InvertedResidual>(params, rng)});
      in = out;
    }
  }
  const std::int64_t last = filters.of(name() + ".0", variant.last_channels());
  blocks.push_back(conv_bn_relu6(name(), {.in = in, .out = last}, rng));
  return blocks;
}

LayerPtr classifier(std::int64_t channels, float dropout, std::int64_t classes, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kAverage, .kernel = 0}));
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("classifier.0", std::make_unique<Dropout>(dropout));
  layers->add("classifier.1",
              std::make_unique<Linear>(LinearParams{.in = channels, .out = classes}, rng));
  return layers;
}

}  // namespace

// 224: 3x224x224 -> 32x112x112 -> ... -> 320x7x7 -> 1280x7x7; global average pool, dropout, linear.
std::unique_ptr<MultiExitNetwork> mobilenet_v2(const NetworkConfig& config, Rng& rng) {
  constexpr std::int64_t kCifarSide = 32;
  OptionReader options(config);
  FilterCounts filters(options);
  const std::int64_t side = options.integer("input", 224, 32, 4096);
  const std::string name = side == kCifarSide ? options.choice("variant", {"cifar", "imagenet"})
                                              : options.choice("variant", {"imagenet", "cifar"});
  const Variant variant{options.number("width", 1.0, 0.05, 8.0), name == "cifar"};
  const auto dropout = static_cast<float>(options.number("dropout", 0.2, 0.0, 0.99));
  NetworkParts parts{.filters = filters,
                     .input = Shape{1, 3, side, side},
                     .blocks = trunk(variant, filters, rng),
                     .default_exit = "bnpool",
                     .final_exit = [&](const Shape& feature, Rng& r) {
                       return classifier(feature[1], dropout, config.classes, r);
                     }};
  // The authors place branches in the network for ImageNet, whatever the classes of their data.
  if (!variant.small_images) parts.final_count = variant.last_channels() * 1000 + 1000;
  return assemble(config, options, std::move(parts), rng);
}

}  // namespace branchy
