// Inference convolution, plain and transposed, with bias, residual sum and activation in one pass.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// src [N,C,H,W]. `op` gives bias, stride, padding, groups and form; its weights are taken from
/// `weights` (same logical shape, packed in place of `op.weights`). Both layouts are oneDNN's
/// choice. With `post.sum` the destination holds the addend in the layout of `dst()`.
[[nodiscard]] InferencePrimitive make_inference_convolution(const Shape& src,
                                                            const ConvolutionOp& op,
                                                            PackedTensor& weights,
                                                            const PostOps& post);
/// Shape of the result; throws ShapeError when the channels or the kernel do not fit.
[[nodiscard]] Shape convolution_output_shape(const Shape& src, const ConvolutionOp& op);

}  // namespace branchy::dnn
