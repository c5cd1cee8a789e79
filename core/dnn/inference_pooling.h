// Inference pooling: maximum and average, global included; the layout is the source's.
#pragma once

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

[[nodiscard]] InferencePrimitive make_inference_pooling(const ValueLayout& src, const PoolOp& op);
/// Shape of the result ([N,C,1,1] for kernel 0); throws ShapeError when the window does not fit.
[[nodiscard]] Shape pooling_output_shape(const Shape& src, const PoolOp& op);

}  // namespace branchy::dnn
