// Inference linear layer: y = x W^T + b, reading feature maps as they lie.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// src [N,I], or [N,C,H,W] with C H W = I in any layout: flattening then costs nothing, because the
/// weights are packed to match. `weights` [O,I], `bias` [O] or undefined; dst [N,O] row-major. Up
/// to 2^20 weights a sample's result does not depend, to the bit, on the batch around it.
[[nodiscard]] InferencePrimitive make_inference_linear(const ValueLayout& src,
                                                       PackedTensor& weights, const Tensor& bias,
                                                       const PostOps& post);

}  // namespace branchy::dnn
