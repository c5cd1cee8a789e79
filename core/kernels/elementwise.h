// Element-wise passes over tensors in whatever layout they share; the fused ones save a pass over
// memory each.
#pragma once

#include "core/tensor.h"

namespace branchy::kernels {

/// a + b; b is reordered to the layout of a when they differ. Shapes must be equal (ShapeError).
[[nodiscard]] Tensor add(const Tensor& a, const Tensor& b);
/// a * b, element by element.
[[nodiscard]] Tensor multiply(const Tensor& a, const Tensor& b);
/// diff where dst > 0, else 0: the gradient of ReLU.
[[nodiscard]] Tensor relu_backward(const Tensor& diff_dst, const Tensor& dst);
/// sum += diff. Writes into whichever of the two nobody else holds, else into a new tensor.
void accumulate(Tensor& sum, Tensor diff);
/// factor * a.
[[nodiscard]] Tensor scale(const Tensor& a, float factor);

}  // namespace branchy::kernels
