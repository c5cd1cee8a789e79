// Inference operations that only move values: layout changes and concatenation.
#pragma once

#include <span>

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// The same values in another layout, rounded to the nearest (ties: even) where that holds integers
/// and cut off at their ends, or a copy when the layouts are equal.
[[nodiscard]] InferencePrimitive make_inference_reorder(const ValueLayout& src,
                                                        const ValueLayout& dst);
/// Along the channels; all parts agree in the other dimensions.
[[nodiscard]] InferencePrimitive make_inference_concat(std::span<const ValueLayout> parts);
/// Shape of the concatenation; throws ShapeError when the parts do not fit together.
[[nodiscard]] Shape concat_output_shape(std::span<const Shape> parts);

}  // namespace branchy::dnn
