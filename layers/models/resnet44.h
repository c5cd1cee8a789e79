// ResNet44 for 32x32 images with early exits (Dong, Mao, Zhang 2022; He et al. 2016, n = 7).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// `config.early_exits`: 0 (plain backbone), 2 (after residual blocks 1 and 8) or 3 (after 1, 4
/// and 8), anything else throws ConfigError unless the options give other places. Block 0 is the
/// stem, then the residual blocks. Input [1,3,32,32]. Options:
///   shortcut   projection (Dong et al.), or option-a: no parameters (He et al.; published weights)
///   filters    of the first convolution of each block, filter_counts.h
///   exit, exit-after, placement: network_parts.h
[[nodiscard]] std::unique_ptr<MultiExitNetwork> resnet44(const NetworkConfig& config, Rng& rng);

}  // namespace branchy
