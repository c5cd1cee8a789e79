// The sum of two variables, optionally followed by ReLU in the same pass.
#pragma once

#include "core/variable.h"

namespace branchy {

/// a + b, equal shapes.
[[nodiscard]] Variable add(const Variable& a, const Variable& b);
/// max(a + b, 0), equal shapes: the end of a residual block.
[[nodiscard]] Variable add_relu(const Variable& a, const Variable& b);

}  // namespace branchy
