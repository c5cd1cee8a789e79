// Sums over images and pixels: the gradient of a bias.
#pragma once

#include "core/tensor.h"

namespace branchy::kernels {

/// [C] of [N,C,H,W]; image by image, so the bits do not depend on the number of threads.
[[nodiscard]] Tensor channel_sums(const Tensor& tensor);

}  // namespace branchy::kernels
