// CNN-9: nine blocks of two convolutions for 32x32 images (Lee, Hong, Hong, Kim 2020).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// The paper gives nine blocks of 2 x (convolution, normalisation, ReLU) and exits of average
/// pooling and one linear layer; widths, pooling places and skips are choices, hence options.
/// SEM-k of the paper is exit-after=k, MEM is all eight exits (`config.early_exits` 8, the
/// default); 0 is the plain backbone. Blocks count from 1. Options:
///   widths    of blocks 1-3, 4-6 and 7-9 (16,32,64)
///   pool      avg or max: halves the image before blocks 4 and 7
///   pool-in   next, or previous: the block that the pooling belongs to; next leaves the large
///             feature to exits 3 and 6, previous sends a quarter of it
///   skips     none, or residual: the sum with the block's input (a projection where widths change)
///   stem      channels of a convolution before block 1 (0: none)
///   filters   of any convolution; with skips, of the first one of each block
///   exit, exit-after, placement: network_parts.h. Input [1,3,32,32].
[[nodiscard]] std::unique_ptr<MultiExitNetwork> cnn9(const NetworkConfig& config, Rng& rng);

}  // namespace branchy
