// Binary cross-entropy on logits, for networks whose outputs are independent yes-or-no answers.
#pragma once

#include "core/tensor.h"
#include "core/variable.h"

namespace branchy {

/// Mean over all elements of -(t ln s + (1 - t) ln(1 - s)), s = sigmoid(logits), computed as
/// max(x, 0) - x t + ln(1 + exp(-|x|)), which stays finite. targets has the shape of logits and
/// values in 0..1. Gives a scalar. Throws ShapeError for other shapes or no element, DataError for
/// a target out of range.
[[nodiscard]] Variable binary_cross_entropy(const Variable& logits, const Tensor& targets);

}  // namespace branchy
