#include "layers/models/feature_codec.h"

#include "layers/batch_norm2d.h"
#include "layers/conv_transpose2d.h"
#include "layers/models/conv_bn_relu.h"
#include "layers/models/network_parts.h"

namespace branchy {

std::unique_ptr<MultiExitNetwork> feature_codec(const NetworkConfig& config, Rng& rng) {
  require_no_exits(config);
  OptionReader options(config);
  const std::int64_t channels = options.integer("channels", 128, 1, 65536);
  const std::int64_t size = options.integer("size", 16, 2, 4096);
  const std::int64_t code = options.integer("code", 32, 1, 65536);
  const std::int64_t kernel = options.integer("kernel", 2, 2, 3);
  options.finish();
  if (size % 2 != 0) options.fail("size", "an even number");

  auto encoder = std::make_unique<Sequential>();
  add_conv_bn_relu(
      *encoder, {"conv", "bn"},
      {.in = channels, .out = code, .kernel = kernel, .stride = 2, .padding = kernel == 3 ? 1 : 0},
      rng);
  auto decoder = std::make_unique<Sequential>();
  decoder->add("conv", std::make_unique<ConvTranspose2d>(
                           ConvTranspose2dParams{.in = code, .out = channels}, rng));
  decoder->add("bn", std::make_unique<BatchNorm2d>(BatchNorm2dParams{
                         .channels = channels, .activation = ActivationKind::kRelu}));

  std::vector<MultiExitNetwork::Block> blocks;
  blocks.push_back({"encoder", "encoder.", std::move(encoder)});
  std::vector<MultiExitNetwork::Exit> exits;
  exits.push_back({.name = "decoder",
                   .state_prefix = "decoder.",
                   .after_block = 1,
                   .layer = std::move(decoder)});
  return std::make_unique<MultiExitNetwork>(config, Shape{1, channels, size, size},
                                            std::move(blocks), std::move(exits));
}

}  // namespace branchy
