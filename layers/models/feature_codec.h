// The feature codec of Dong, Mao, Zhang 2022, section V-C (after BottleNet++, Shao, Zhang 2020).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// Block `encoder`: convolution, BN, ReLU, what the device sends (8 bit a value); exit `decoder`:
/// the way back to the input's shape. With stride 2, which halves both sides (even), the decoder is
/// a transposed convolution 2x2; with stride 1 a convolution with the encoder's kernel. BN follows
/// it, and a ReLU unless the feature has negative values. `config.classes` plays no part. No early
/// exits. Options:
///   channels (128), size (16)   of the feature [1,channels,size,size]
///   code (32)                   channels that are sent
///   stride (2)                  2 or 1
///   kernel (2; of stride 1: 1)  of the encoder: 2 or 3; of stride 1: 1 or 3
///   output (relu)               linear leaves out the decoder's ReLU
[[nodiscard]] std::unique_ptr<MultiExitNetwork> feature_codec(const NetworkConfig& config,
                                                              Rng& rng);

}  // namespace branchy
