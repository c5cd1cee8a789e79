// The differentiable convolution behind Conv2d and ConvTranspose2d.
#pragma once

#include <string_view>

#include "core/dnn/convolution.h"
#include "core/variable.h"
#include "layers/primitive_cache.h"

namespace branchy {

/// The convolution `spec`, of which `spec.src` is the shape of `src`, with `weight` and, where
/// `spec.bias`, `bias` (undefined otherwise). Its primitives come from `primitives`, which keeps
/// them. `operation` is recorded with the node and outlives it.
[[nodiscard]] Variable convolve(std::string_view operation, const dnn::ConvolutionSpec& spec,
                                const Variable& src, const Variable& weight, const Variable& bias,
                                PrimitiveCache<dnn::Convolution>& primitives);

}  // namespace branchy
