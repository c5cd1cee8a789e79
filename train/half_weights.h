// Large linear layers in half precision: read from memory in half the time.
#pragma once

#include <cstdint>

#include "layers/network.h"

namespace branchy {

/// Rounds the weights of linear layers with more than `dnn::kCachedLinearWeights` of them to the
/// nearest half; inference then keeps them as halves. Gives the number of weights that were
/// rounded. Throws NumericError when one is too large for a half.
std::int64_t round_large_linear_layers(MultiExitNetwork& network);

}  // namespace branchy
