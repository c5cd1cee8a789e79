// Inference operations that touch each value once: batch norm that no convolution could take in,
// activation, sum, scaling by channel. The layout is the (first) source's.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// (x - mean) / sqrt(variance + epsilon) * scale + shift; src [N,C] or [N,C,H,W].
[[nodiscard]] InferencePrimitive make_inference_batch_norm(const ValueLayout& src,
                                                           const BatchNormOp& op, bool relu);
[[nodiscard]] InferencePrimitive make_inference_activation(const ValueLayout& src,
                                                           ActivationKind kind);
/// a + b of equal shapes; b is wanted in the layout of a.
[[nodiscard]] InferencePrimitive make_inference_add(const ValueLayout& a, const Shape& b,
                                                    const PostOps& post);
/// src [N,C,H,W] times scale [N,C] or [N,C,1,1], which is wanted row-major.
[[nodiscard]] InferencePrimitive make_inference_scale_channels(const ValueLayout& src,
                                                               const Shape& scale);

}  // namespace branchy::dnn
