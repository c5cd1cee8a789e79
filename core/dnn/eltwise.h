// Activations by oneDNN, in the layout of the input. Backward needs only the output.
#pragma once

#include "core/plan_builder.h"
#include "core/tensor.h"

namespace branchy::dnn {

[[nodiscard]] Tensor activation_forward(const Tensor& src, ActivationKind kind);
/// `dst` is what activation_forward gave.
[[nodiscard]] Tensor activation_backward(const Tensor& diff_dst, const Tensor& dst,
                                         ActivationKind kind);

}  // namespace branchy::dnn
