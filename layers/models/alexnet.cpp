#include "layers/models/alexnet.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/models/network_parts.h"
#include "layers/pool2d.h"
#include "layers/sequential.h"

namespace branchy {

namespace {

/// conv 3x3 with bias and padding 1, ReLU, and max pooling 2x2 where `pool`.
struct ConvStep {
  std::int64_t index;  ///< of the convolution in the published list of features
  std::int64_t in, out, stride;
  bool pool;
};

//                                          32x32x3
constexpr ConvStep kSteps[] = {{0, 3, 64, 2, true},       // 64x8x8
                               {3, 64, 192, 1, true},     // 192x4x4
                               {6, 192, 384, 1, false},   // 384x4x4
                               {8, 384, 256, 1, false},   // 256x4x4
                               {10, 256, 256, 1, true}};  // 256x2x2

void add_conv_relu(Sequential& layers, const std::string& name, Conv2dParams conv, Rng& rng) {
  conv.kernel = 3;
  conv.padding = 1;
  conv.bias = true;
  layers.add(name, std::make_unique<Conv2d>(conv, rng));
  layers.add(name + "_relu", std::make_unique<Activation>(ActivationKind::kRelu));
}

MultiExitNetwork::Block block(std::int64_t number, const ConvStep& step, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  add_conv_relu(*layers, std::to_string(step.index),
                {.in = step.in, .out = step.out, .stride = step.stride}, rng);
  if (step.pool) layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kMax}));
  return {fmt::format("conv{}", number), "features.", std::move(layers)};
}

/// Convolutions of the given widths, max pooling 2x2, linear.
LayerPtr early_exit(const Shape& feature, const std::vector<std::int64_t>& widths,
                    std::int64_t classes, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  std::int64_t in = feature[1];
  for (std::size_t i = 0; i < widths.size(); ++i) {
    add_conv_relu(*layers, fmt::format("conv{}", i + 1), {.in = in, .out = widths[i]}, rng);
    in = widths[i];
  }
  layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kMax}));
  layers->add("flatten", std::make_unique<Flatten>());
  const std::int64_t features = in * (feature[2] / 2) * (feature[3] / 2);
  layers->add("fc", std::make_unique<Linear>(LinearParams{.in = features, .out = classes}, rng));
  return layers;
}

LayerPtr classifier(const Shape& feature, float dropout, std::int64_t classes, Rng& rng) {
  const std::int64_t features = feature.size();  // 256x2x2
  constexpr std::int64_t kHidden = 4096;
  auto layers = std::make_unique<Sequential>();
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("0", std::make_unique<Dropout>(dropout));
  layers->add("1", std::make_unique<Linear>(LinearParams{.in = features, .out = kHidden}, rng));
  layers->add("2", std::make_unique<Activation>(ActivationKind::kRelu));
  layers->add("3", std::make_unique<Dropout>(dropout));
  layers->add("4", std::make_unique<Linear>(LinearParams{.in = kHidden, .out = kHidden}, rng));
  layers->add("5", std::make_unique<Activation>(ActivationKind::kRelu));
  layers->add("6", std::make_unique<Linear>(LinearParams{.in = kHidden, .out = classes}, rng));
  return layers;
}

std::vector<PaperExit> paper_exits(std::int64_t early_exits, std::int64_t classes,
                                   FilterCounts& filters) {
  if (early_exits != 2)
    throw ConfigError(
        fmt::format("[alexnet] {} early exits; give 2 (as in Dong et al.), 0 for the plain "
                    "backbone, or places with exit-after or placement",
                    early_exits));
  const auto exit = [&filters, classes](std::int64_t number, std::int64_t convs) {
    return [&filters, classes, number, convs](const Shape& feature, Rng& rng) {
      std::vector<std::int64_t> widths;
      for (std::int64_t i = 1; i <= convs; ++i)
        widths.push_back(filters.of(fmt::format("exits.{}.conv{}", number, i), 64));
      return early_exit(feature, widths, classes, rng);
    };
  };
  return {{1, exit(1, 2)}, {2, exit(2, 1)}};
}

}  // namespace

// Five convolutions with three max poolings, then 1024-4096-4096-classes with dropout.
std::unique_ptr<MultiExitNetwork> alexnet(const NetworkConfig& config, Rng& rng) {
  OptionReader options(config);
  FilterCounts filters(options);
  const auto dropout = static_cast<float>(options.number("dropout", 0.5, 0.0, 0.99));
  NetworkParts parts{
      .filters = filters,
      .input = Shape{1, 3, 32, 32},
      .blocks = {},
      .first_number = 1,
      .paper_exits =
          [&](std::int64_t count) { return paper_exits(count, config.classes, filters); },
      .final_exit = [&](const Shape& feature,
                        Rng& r) { return classifier(feature, dropout, config.classes, r); },
      .final_prefix = "classifier."};
  std::int64_t in = 3;
  for (ConvStep step : kSteps) {
    step.in = in;
    step.out = in = filters.of(fmt::format("features.{}", step.index), step.out);
    parts.blocks.push_back(block(std::ssize(parts.blocks) + 1, step, rng));
  }
  return assemble(config, options, std::move(parts), rng);
}

}  // namespace branchy
