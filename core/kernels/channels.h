// Passes along the channels of row-major images: concatenation and scaling.
#pragma once

#include <span>
#include <vector>

#include "core/tensor.h"

namespace branchy::kernels {

/// Parts [N,C_i,H,W] (or [N,C_i]) joined along the channels. Throws ShapeError unless all other
/// sizes are equal.
[[nodiscard]] Tensor concat_channels(std::span<const Tensor> parts);
/// The inverse: the slices of `whole` with the shapes given.
[[nodiscard]] std::vector<Tensor> split_channels(const Tensor& whole, std::span<const Shape> parts);

/// src [N,C,H,W] times scale [N,C] (or [N,C,1,1]). Throws ShapeError when they do not fit.
[[nodiscard]] Tensor scale_channels(const Tensor& src, const Tensor& scale);
/// Sum over the pixels of a times b, both [N,C,H,W], summed in double precision; `shape` has N C
/// elements.
[[nodiscard]] Tensor channel_dots(const Tensor& a, const Tensor& b, const Shape& shape);

}  // namespace branchy::kernels
