#include "train/image_size.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/error.h"
#include "layers/models/registry.h"

namespace branchy {

namespace {

constexpr const char* kOption = "input";

std::int64_t side_of(NetworkConfig config) {
  config.classes = std::max<std::int64_t>(config.classes, 2);  // the data's, not known yet
  Rng rng(0);
  return make_network(config, rng)->input_shape()[2];
}

}  // namespace

std::int64_t set_image_size(NetworkConfig& config, std::int64_t side) {
  const std::int64_t own = side_of(config);
  if (side == 0 || side == own) return own;
  if (!config.options.emplace(kOption, std::to_string(side)).second)
    throw ConfigError(fmt::format("[{}] --image-size {}, but option input is {}; give one of them",
                                  config.name, side, own));
  try {
    return side_of(config);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("[{}] --image-size {} instead of its own {}: {}", config.name,
                                  side, own, error.what()));
  }
}

}  // namespace branchy
