// Small early exits that fit any feature.
#pragma once

#include <string>
#include <vector>

#include "layers/layer.h"

namespace branchy {

/// The names that `exit_head` takes:
///   light    global average pool, linear (Fig. 3 of Dong et al. 2022)
///   bnpool   batch norm, global average pool, linear (the side branch of Pacheco et al. 2021)
///   flatten  linear on all values of the feature
[[nodiscard]] const std::vector<std::string>& exit_head_kinds();

/// feature [N,C,H,W] -> logits [N, classes]; state `bn`, `fc`. Throws ConfigError for another kind.
[[nodiscard]] LayerPtr exit_head(const std::string& kind, const Shape& feature,
                                 std::int64_t classes, Rng& rng);

}  // namespace branchy
