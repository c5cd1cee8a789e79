#include "layers/models/feature_codec.h"

#include "layers/batch_norm2d.h"
#include "layers/conv_transpose2d.h"
#include "layers/models/conv_bn_relu.h"
#include "layers/models/network_parts.h"

namespace branchy {

namespace {

struct CodecOptions {
  std::int64_t channels = 0, size = 0, code = 0, stride = 0, kernel = 0;
  bool relu = true;
};

CodecOptions read_options(const NetworkConfig& config) {
  OptionReader options(config);
  CodecOptions o{.channels = options.integer("channels", 128, 1, 65536),
                 .size = options.integer("size", 16, 1, 4096),
                 .code = options.integer("code", 32, 1, 65536),
                 .stride = options.integer("stride", 2, 1, 2),
                 .relu = options.choice("output", {"relu", "linear"}) == "relu"};
  o.kernel = options.integer("kernel", o.stride, o.stride, 3);
  options.finish();
  if (o.stride == 1 && o.kernel == 2) options.fail("kernel", "1 or 3 with stride=1");
  if (o.stride == 2 && o.size % 2 != 0) options.fail("size", "an even number, or give stride=1");
  return o;
}

}  // namespace

std::unique_ptr<MultiExitNetwork> feature_codec(const NetworkConfig& config, Rng& rng) {
  require_no_exits(config);
  const CodecOptions o = read_options(config);
  const std::int64_t padding = o.kernel == 3 ? 1 : 0;
  auto encoder = std::make_unique<Sequential>();
  add_conv_bn_relu(
      *encoder, {"conv", "bn"},
      {.in = o.channels, .out = o.code, .kernel = o.kernel, .stride = o.stride, .padding = padding},
      rng);
  auto decoder = std::make_unique<Sequential>();
  if (o.stride == 2)
    decoder->add("conv", std::make_unique<ConvTranspose2d>(
                             ConvTranspose2dParams{.in = o.code, .out = o.channels}, rng));
  else
    decoder->add(
        "conv",
        std::make_unique<Conv2d>(
            Conv2dParams{.in = o.code, .out = o.channels, .kernel = o.kernel, .padding = padding},
            rng));
  BatchNorm2dParams norm{.channels = o.channels};
  if (o.relu) norm.activation = ActivationKind::kRelu;
  decoder->add("bn", std::make_unique<BatchNorm2d>(norm));

  std::vector<MultiExitNetwork::Block> blocks;
  blocks.push_back({"encoder", "encoder.", std::move(encoder)});
  std::vector<MultiExitNetwork::Exit> exits;
  exits.push_back({.name = "decoder",
                   .state_prefix = "decoder.",
                   .after_block = 1,
                   .layer = std::move(decoder)});
  return std::make_unique<MultiExitNetwork>(config, Shape{1, o.channels, o.size, o.size},
                                            std::move(blocks), std::move(exits));
}

}  // namespace branchy
