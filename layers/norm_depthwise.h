// A batch norm and the depth-wise convolution behind it, trained as one operation.
#pragma once

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"

namespace branchy {

/// conv(norm(src)) in either mode, without storing norm(src): in MobileNetV2 that is the largest
/// activation, and training is bound by the memory that it moves (core/kernels/norm_depthwise).
/// `conv` is depth-wise over the channels of `norm`, 3x3 with padding 1, stride 1 or 2 and no bias.
/// Moves the statistics of `norm` in training as its own forward does.
[[nodiscard]] Variable norm_depthwise(const Variable& src, BatchNorm2d& norm, Conv2d& conv,
                                      const Pass& pass);
/// Whether `conv` is of that kind.
[[nodiscard]] bool is_depthwise_3x3(const Conv2dParams& conv);

}  // namespace branchy
