// Inference head of an exit by an own kernel: pooling and linear layer in one pass.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// src [N,C,H,W] in blocks of channels, or else wanted in them; `weights` [O, C h w] of its pooled
/// shape [N,C,h,w] (pooled_shape()), flattened row-major; `bias` [O] or undefined; dst [N,O]
/// row-major. For weights that stay in the cache. A sample's bits depend neither on the batch
/// around it nor on the number of threads. Throws ShapeError when the parts do not fit together.
[[nodiscard]] InferencePrimitive make_inference_exit_head(const ValueLayout& src,
                                                          const PoolOp& pool, PackedTensor& weights,
                                                          const Tensor& bias);

}  // namespace branchy::dnn
