// The loss of a multi-exit network: one scalar, the weighted sum of the exits' losses.
#pragma once

#include <span>

#include "core/variable.h"

namespace branchy {

/// sum over i of weights[i] losses[i] (eq. 5 of Dong et al.); scalars in, scalar out.
/// Throws ShapeError when the counts differ.
[[nodiscard]] Variable weighted_sum(std::span<const Variable> losses,
                                    std::span<const float> weights);

}  // namespace branchy
