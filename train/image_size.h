// The size of images that a network takes, and how a command line sets it.
#pragma once

#include <cstdint>

#include "layers/network.h"

namespace branchy {

/// Makes `config` a network for square images of `side` pixels, through its option `input`; 0
/// leaves it as it is. Gives the side that it then takes. Builds the network to learn it. Throws
/// ConfigError when it takes one size only, or for a configuration that the network does not have.
[[nodiscard]] std::int64_t set_image_size(NetworkConfig& config, std::int64_t side);

}  // namespace branchy
