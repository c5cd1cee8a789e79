// VGG16 with batch norm for 32x32 images with early exits (Dong, Mao, Zhang 2022; Simonyan,
// Zisserman 2015).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// `config.early_exits`: 0 (plain backbone) or 2 (after convolutions 1 and 3); blocks count from 1.
/// Options: hidden (4096: width of the classifier; published CIFAR networks have 512), dropout
/// (0.5), filters (of any convolution), exit, exit-after, placement (network_parts.h). Input
/// [1,3,32,32].
[[nodiscard]] std::unique_ptr<MultiExitNetwork> vgg16_bn(const NetworkConfig& config, Rng& rng);

}  // namespace branchy
