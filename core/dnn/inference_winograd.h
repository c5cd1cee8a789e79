// Inference convolution by an own Winograd kernel: 3x3, stride 1, padding 1.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// Whether `make_inference_winograd` takes the convolution and is the faster way: it needs whole
/// blocks of channels, images that tiles of 4x4 cover without much waste, and so many tiles that
/// reading the transformed weights (four times as many) does not cost more than it saves. For
/// layers whose transformed weights stay in the cache the answer does not depend on the batch.
[[nodiscard]] bool winograd_takes(const Shape& src, const ConvolutionOp& op, const PostOps& post);
/// As make_inference_convolution, in the layouts of `preferred_layout`. A sample's bits depend
/// neither on the batch around it nor on the number of threads.
[[nodiscard]] InferencePrimitive make_inference_winograd(const Shape& src, const ConvolutionOp& op,
                                                         PackedTensor& weights,
                                                         const PostOps& post);

}  // namespace branchy::dnn
