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

std::vector<MultiExitNetwork::Block> trunk(Rng& rng) {
  std::vector<MultiExitNetwork::Block> blocks;
  std::int64_t in = 3;
  std::int64_t index = 0;  // of the layer in the published list of features
  for (std::size_t i = 0; i < std::size(kPlan); ++i) {
    if (kPlan[i] == 0) {
      ++index;
      continue;
    }
    auto layers = std::make_unique<Sequential>();
    add_conv_bn_relu(*layers, {std::to_string(index), std::to_string(index + 1)},
                     {.in = in, .out = kPlan[i], .kernel = 3, .padding = 1}, rng);
    index += 3;  // convolution, batch norm, ReLU
    if (kPlan[i + 1] == 0)
      layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kMax}));
    in = kPlan[i];
    blocks.push_back({fmt::format("conv{}", blocks.size() + 1), "features.", std::move(layers)});
  }
  return blocks;
}

/// Convolutions of the given widths, the first with stride 2 to `size`, then linear.
LayerPtr early_exit(std::vector<std::int64_t> widths, std::int64_t size, std::int64_t classes,
                    Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  std::int64_t in = widths.front();  // as many as the feature has
  for (std::size_t i = 0; i < widths.size(); ++i) {
    add_conv_bn_relu(
        *layers, {fmt::format("conv{}", i + 1), fmt::format("bn{}", i + 1)},
        {.in = in, .out = widths[i], .kernel = 3, .stride = i == 0 ? 2 : 1, .padding = 1}, rng);
    in = widths[i];
  }
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("fc",
              std::make_unique<Linear>(LinearParams{.in = in * size * size, .out = classes}, rng));
  return layers;
}

LayerPtr classifier(std::int64_t hidden, float dropout, std::int64_t classes, Rng& rng) {
  auto layers = std::make_unique<Sequential>();
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("0", std::make_unique<Linear>(LinearParams{.in = 512, .out = hidden}, rng));
  layers->add("1", std::make_unique<Activation>(ActivationKind::kRelu));
  layers->add("2", std::make_unique<Dropout>(dropout));
  layers->add("3", std::make_unique<Linear>(LinearParams{.in = hidden, .out = hidden}, rng));
  layers->add("4", std::make_unique<Activation>(ActivationKind::kRelu));
  layers->add("5", std::make_unique<Dropout>(dropout));
  layers->add("6", std::make_unique<Linear>(LinearParams{.in = hidden, .out = classes}, rng));
  return layers;
}

std::vector<PaperExit> paper_exits(std::int64_t early_exits, std::int64_t classes) {
  if (early_exits != 2)
    throw ConfigError(
        fmt::format("[vgg16_bn] {} early exits; give 2 (as in Dong et al.), 0 for the plain "
                    "backbone, or places with exit-after or placement",
                    early_exits));
  return {{1,
           [classes](Rng& rng) {
             return early_exit({64, 32, 32}, 16, classes, rng);
           }},
          {3, [classes](Rng& rng) {
             return early_exit({128, 64}, 8, classes, rng);
           }}};
}

}  // namespace

// 13 convolutions with batch norm and five max poolings, 3x32x32 -> 512x1x1; then
// 512-hidden-hidden-classes with dropout.
std::unique_ptr<MultiExitNetwork> vgg16_bn(const NetworkConfig& config, Rng& rng) {
  OptionReader options(config);
  const std::int64_t hidden = options.integer("hidden", 4096, 1, 65536);
  const auto dropout = static_cast<float>(options.number("dropout", 0.5, 0.0, 0.99));
  return assemble(
      config, options,
      {.input = Shape{1, 3, 32, 32},
       .blocks = trunk(rng),
       .first_number = 1,
       .paper_exits = [&](std::int64_t count) { return paper_exits(count, config.classes); },
       .final_exit = [&](Rng& r) { return classifier(hidden, dropout, config.classes, r); },
       .final_prefix = "classifier."},
      rng);
}

}  // namespace branchy
