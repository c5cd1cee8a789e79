// MobileNetV2 with side branches (Sandler et al. 2018; Pacheco et al. 2021).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// 19 feature modules: 0 the stem, 1 to 17 inverted residuals, 18 the last convolution. Any number
/// of early exits that the placement rule finds places for. Options:
///   input      side of the images (224); 300 as in the code of Pacheco et al., 32 for CIFAR
///   variant    imagenet, or cifar: stem and module 2 keep the size, for images of 32x32
///              (by default where input is 32)
///   width      multiplier of the channels (1)
///   dropout    before the last linear layer (0.2)
///   filters    hidden channels of a block by its expansion; the stem; the last convolution
///   exit       bnpool (the branch of Pacheco et al.), light, flatten: exit_head.h
///   placement, exit-after: network_parts.h. `flops` counts with a head of 1000 classes, as
///              Pacheco et al. do, in the cifar variant with the network's own.
[[nodiscard]] std::unique_ptr<MultiExitNetwork> mobilenet_v2(const NetworkConfig& config, Rng& rng);

}  // namespace branchy
