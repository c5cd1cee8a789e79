// The Exit Predictor and the alternatives that it is compared with (Dong, Mao, Zhang 2022).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "layers/network.h"

namespace branchy {

/// The kind that reads a feature of the network it serves, not the image.
inline constexpr std::string_view kFeaturePredictor = "feature";
/// What the option `kind` takes, the default first.
[[nodiscard]] std::vector<std::string> exit_predictor_kinds();

/// From its input the logits of "exit n will be confident", one an early exit of the network that
/// it serves: `config.classes` is that number (1 or more), the score is their sigmoid. No early
/// exits of its own. Options:
///   kind      ours, plain (without concatenation and excitation), fc, lenet: of an image
///             [1,3,32,32]; feature: of the value after the first trunk blocks, which the trunk has
///             computed anyway
///   channels  of kind feature: those of the value (16)
///   size      of kind feature: its height and width, even (32)
/// Kind feature is ours with average pooling in place of the stem: to 16x16 or, where that leaves a
/// remainder, 8x8, 4x4 or 2x2; then one stage for each halving down to 128x2x2, with half the
/// channels before. 291,966 operations (ptflops) for 16x32x32 and two exits; ours has 398,462.
[[nodiscard]] std::unique_ptr<MultiExitNetwork> exit_predictor(const NetworkConfig& config,
                                                               Rng& rng);

}  // namespace branchy
