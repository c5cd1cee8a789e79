// Concatenation along the channels.
#pragma once

#include <span>

#include "core/variable.h"

namespace branchy {

/// Parts [N,C_i,H,W] -> [N, sum of C_i, H, W] in the order given. Throws ShapeError when another
/// size differs or nothing is given.
[[nodiscard]] Variable concat(std::span<const Variable> parts);

}  // namespace branchy
