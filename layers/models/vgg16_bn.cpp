#include "layers/models/vgg16_bn.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/activation.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/models/conv_bn_relu.h"
#include "layers/models/network_parts.h"
#include "layers/pool2d.h"

namespace branchy {

namespace {

/// Widths of the 13 convolutions; 0 is max pooling 2x2, which belongs to the block before it.
constexpr std::int64_t kPlan[] = {64, 64,  0,   128, 128, 0,   256, 256, 256,
                                  0,  512, 512, 512, 0,   512, 512, 512, 0};

std::vector<MultiExitNetwork::Block> trunk(FilterCounts& filters, Rng& rng) {
  std::vector<MultiExitNetwork::Block> blocks;
  std::int64_t in = 3;
  std::int64_t index = 0;  // of the layer in the published list of features
  for (std::size_t i = 0; i < std::size(kPlan); ++i) {
    if (kPlan[i] == 0) {
      ++index;
      continue;
    }
    const std::int64_t out = filters.of(fmt::format("features.{}", index), kPlan[i]);
    auto layers = std::make_unique<Sequential>();
    add_conv_bn_relu(*layers, {std::to_string(index), std::to_string(index + 1)},
                     {.in = in, .out = out, .kernel = 3, .padding = 1}, rng);
    index += 3;  // convolution, batch norm, ReLU
    if (kPlan[i + 1] == 0)
      layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kMax}));
    in = out;
    blocks.push_back({fmt::format("conv{}", blocks.size() + 1), "features.", std::move(layers)});
  }
  return blocks;
}

/// Convolutions of the given widths, the first with stride 2, then linear.
LayerPtr early_exit(const Shape& feature, const std::vector<std::int64_t>& widths,
                    std::int64_t classes, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  std::int64_t in = feature[1];
  for (std::size_t i = 0; i < widths.size(); ++i) {
    add_conv_bn_relu(
        *layers, {fmt::format("conv{}", i + 1), fmt::format("bn{}", i + 1)},
        {.in = in, .out = widths[i], .kernel = 3, .stride = i == 0 ? 2 : 1, .padding = 1}, rng);
    in = widths[i];
  }
  layers->add("flatten", std::make_unique<Flatten>());
  const std::int64_t features = layers->output_shape(feature).size();
  layers->add("fc", std::make_unique<Linear>(LinearParams{.in = features, .out = classes}, rng));
  return layers;
}

LayerPtr classifier(std::int64_t in, std::int64_t hidden, float dropout, std::int64_t classes,
                    Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("0", std::make_unique<Linear>(LinearParams{.in = in, .out = hidden}, rng));
  layers->add("1", std::make_unique<Activation>(ActivationKind::kRelu));
  layers->add("2", std::make_unique<Dropout>(dropout));
  layers->add("3", std::make_unique<Linear>(LinearParams{.in = hidden, .out = hidden}, rng));
  layers->add("4", std::make_unique<Activation>(ActivationKind::kRelu));
  layers->add("5", std::make_unique<Dropout>(dropout));
  layers->add("6", std::make_unique<Linear>(LinearParams{.in = hidden, .out = classes}, rng));
  return layers;
}

std::vector<PaperExit> paper_exits(std::int64_t early_exits, std::int64_t classes,
                                   FilterCounts& filters) {
  if (early_exits != 2)
    throw ConfigError(
        fmt::format("[vgg16_bn] {} early exits; give 2 (as in Dong et al.), 0 for the plain "
                    "backbone, or places with exit-after or placement",
                    early_exits));
  const auto exit = [&filters, classes](std::int64_t number, std::vector<std::int64_t> widths) {
    return [&filters, classes, number, all = std::move(widths)](const Shape& feature, Rng& rng) {
      std::vector<std::int64_t> kept;
      for (const std::int64_t width : all)
        kept.push_back(filters.of(fmt::format("exits.{}.conv{}", number, kept.size() + 1), width));
      return early_exit(feature, kept, classes, rng);
    };
  };
  return {{1, exit(1, {64, 32, 32})}, {3, exit(2, {128, 64})}};
}

}  // namespace

// 13 convolutions with batch norm and five max poolings, 3x32x32 -> 512x1x1; then
// 512-hidden-hidden-classes with dropout.
std::unique_ptr<MultiExitNetwork> vgg16_bn(const NetworkConfig& config, Rng& rng) {
  OptionReader options(config);
  FilterCounts filters(options);
  const std::int64_t hidden = options.integer("hidden", 4096, 1, 65536);
  const auto dropout = static_cast<float>(options.number("dropout", 0.5, 0.0, 0.99));
  return assemble(
      config, options,
      {.filters = filters,
       .input = Shape{1, 3, 32, 32},
       .blocks = trunk(filters, rng),
       .first_number = 1,
       .paper_exits =
           [&](std::int64_t count) { return paper_exits(count, config.classes, filters); },
       .final_exit =
           [&](const Shape& feature, Rng& r) {
             return classifier(feature[1], hidden, dropout, config.classes, r);
           },
       .final_prefix = "classifier."},
      rng);
}

}  // namespace branchy
