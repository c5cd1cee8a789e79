// The Exit Predictor and the alternatives that it is compared with (Dong, Mao, Zhang 2022).
#pragma once

#include <memory>

#include "layers/network.h"

namespace branchy {

/// From an image [1,3,32,32] the logits of "exit n will be confident", one an early exit of the
/// network that it serves: `config.classes` is that number (2 or more), the score is their sigmoid.
/// No early exits of its own. Options:
///   kind   ours, plain (without concatenation and excitation), fc, lenet
[[nodiscard]] std::unique_ptr<MultiExitNetwork> exit_predictor(const NetworkConfig& config,
                                                               Rng& rng);

}  // namespace branchy
