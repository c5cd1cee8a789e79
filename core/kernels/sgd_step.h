// The SGD update of one parameter in a single pass over memory.
#pragma once

#include "core/tensor.h"

namespace branchy::kernels {

struct SgdStepParams {
  float rate = 0.0F, momentum = 0.0F, weight_decay = 0.0F;
  float gradient_scale = 1.0F;  ///< factor of gradient clipping
  bool nesterov = false;
};

/// d = gradient_scale diff + weight_decay w; v = momentum v + d;
/// w -= rate (nesterov ? d + momentum v : v). Row-major tensors of equal shape.
void sgd_step(Tensor& weights, const Tensor& diff, Tensor& velocity, const SgdStepParams& params);

/// average = decay average + (1 - decay) value, equal shapes.
void moving_average(Tensor& average, const Tensor& value, float decay);

/// Sum of squares in double, in a fixed order.
[[nodiscard]] double sum_of_squares(const Tensor& tensor);

/// Whether every value is finite.
[[nodiscard]] bool all_finite(const Tensor& tensor);

}  // namespace branchy::kernels
