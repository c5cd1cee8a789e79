// AlexNet for 32x32 images with early exits (Dong, Mao, Zhang 2022; Krizhevsky et al. 2012).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// `config.early_exits`: 0 (plain backbone) or 2 (after convolutions 1 and 2); blocks count from 1.
/// Options: dropout (0.5), filters (of any convolution), exit, exit-after, placement
/// (network_parts.h). Input [1,3,32,32].
[[nodiscard]] std::unique_ptr<MultiExitNetwork> alexnet(const NetworkConfig& config, Rng& rng);

}  // namespace branchy
