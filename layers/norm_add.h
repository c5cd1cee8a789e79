// A batch norm, the sum with a shortcut and ReLU as one operation: the end of a residual block.
#pragma once

#include "layers/batch_norm2d.h"

namespace branchy {

/// max(norm(src) + other, 0); shapes are equal. Moves the running statistics in training. `norm`
/// has no activation.
[[nodiscard]] Variable norm_add_relu(const Variable& src, BatchNorm2d& norm, const Variable& other,
                                     const Pass& pass);

}  // namespace branchy
