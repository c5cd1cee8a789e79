// The feature codec of Dong, Mao, Zhang 2022, section V-C (after BottleNet++, Shao, Zhang 2020).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// Block `encoder`: convolution with stride 2, BN, ReLU, what the device sends (8 bit a value);
/// exit `decoder`: transposed convolution 2x2 with stride 2, BN, ReLU, back to the input's shape.
/// `config.classes` plays no part. No early exits. Options:
///   channels (128), size (16)   of the feature [1,channels,size,size]; size is even
///   code (32)                   channels that are sent
///   kernel (2)                  of the encoder, 2 or 3
[[nodiscard]] std::unique_ptr<MultiExitNetwork> feature_codec(const NetworkConfig& config,
                                                              Rng& rng);

}  // namespace branchy
