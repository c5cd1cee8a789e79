#include "train/predictor_input.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/models/exit_predictor.h"

namespace branchy {

namespace {

NetworkConfig feature_config(const MultiExitNetwork& network, std::int64_t reads_after) {
  const std::int64_t deepest = network.exit(1).after_block;
  if (reads_after < 1 || reads_after > deepest)
    throw ConfigError(
        fmt::format("[predictor] --reads-after: {} trunk blocks, expected 1 to {}, the depth of "
                    "exit 1: its score must be there before the exit",
                    reads_after, deepest));
  const Shape value = network.feature_shape(reads_after);
  if (value.rank() != 4 || value[2] != value[3] || value[2] % 2 != 0)
    throw ConfigError(
        fmt::format("[predictor] the value after {} is {}, kind {} takes squares of even size",
                    network.blocks()[static_cast<std::size_t>(reads_after - 1)].name,
                    value.to_string(), kFeaturePredictor));
  return {.name = "exit_predictor",
          .classes = network.num_exits() - 1,
          .early_exits = 0,
          .options = {{"kind", std::string(kFeaturePredictor)},
                      {"channels", std::to_string(value[1])},
                      {"size", std::to_string(value[2])}}};
}

}  // namespace

PredictorInput::PredictorInput(const MultiExitNetwork& network, std::int64_t reads_after) {
  if (reads_after > 0) trunk_.emplace(Plan::lower(network, {.end_block = reads_after}));
}

Tensor PredictorInput::of(const Tensor& images) {
  if (!trunk_) return images;
  trunk_->start(images);
  return trunk_->feature();
}

NetworkConfig predictor_config(const MultiExitNetwork& network, const std::string& kind,
                               std::int64_t reads_after) {
  if (network.num_exits() < 2)
    throw ConfigError("[predictor] the network has no early exit to predict");
  if (kind == kFeaturePredictor) return feature_config(network, reads_after);
  if (reads_after != 0)
    throw ConfigError(fmt::format(
        "[predictor] --reads-after, but kind {} reads the image; leave it out, or take kind {}",
        kind, kFeaturePredictor));
  if (network.input_shape() != Shape{1, 3, 32, 32})
    throw ConfigError(fmt::format(
        "[predictor] kind {} reads images of 3x32x32, the network's are {}; take kind {}", kind,
        network.input_shape().to_string(), kFeaturePredictor));
  return {.name = "exit_predictor",
          .classes = network.num_exits() - 1,
          .early_exits = 0,
          .options = {{"kind", kind}}};
}

}  // namespace branchy
