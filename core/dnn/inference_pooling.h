// Inference pooling: maximum and average, global included; the layout is the source's.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// Gives pooled_shape(); throws ShapeError as that does.
[[nodiscard]] InferencePrimitive make_inference_pooling(const ValueLayout& src, const PoolOp& op);

}  // namespace branchy::dnn
