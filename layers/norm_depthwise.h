// A batch norm of given statistics and the depth-wise convolution behind it as one operation.
#pragma once

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"

namespace branchy {

/// conv(norm(src)) in evaluation mode, without storing norm(src), the largest activation of a
/// MobileNetV2; training has an operation for the whole block (core/kernels/bottleneck.h).
/// `conv` is depth-wise over the channels of `norm`, 3x3 with padding 1, stride 1 or 2 and no bias.
[[nodiscard]] Variable norm_depthwise(const Variable& src, const BatchNorm2d& norm,
                                      const Conv2d& conv);
/// Whether `conv` is of that kind.
[[nodiscard]] bool is_depthwise_3x3(const Conv2dParams& conv);

}  // namespace branchy
