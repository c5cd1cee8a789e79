// Inference linear layer: y = x W^T + b, reading feature maps as they lie.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// Weights up to this many (4 MB) stay in the cache of a core; those of a larger linear layer come
/// from memory each time.
inline constexpr std::int64_t kCachedLinearWeights = 1 << 20;

/// src [N,I], or [N,C,H,W] with C H W = I in any layout: flattening then costs nothing, because the
/// weights are packed to match. `weights` [O,I], `bias` [O] or undefined; dst [N,O] row-major. A
/// sample's bits depend neither on the batch around it nor on the number of threads. More than 2^20
/// weights, which come from memory each time, are kept as halves where these hold them exactly (a
/// model file of half precision): the same bits in half the time.
[[nodiscard]] InferencePrimitive make_inference_linear(const ValueLayout& src,
                                                       PackedTensor& weights, const Tensor& bias,
                                                       const PostOps& post);

}  // namespace branchy::dnn
