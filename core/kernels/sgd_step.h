// The SGD update of all parameters in a single pass over memory, and other such passes.
#pragma once

#include <span>

#include "core/tensor.h"

namespace branchy::kernels {

/// Row-major tensors of equal shape.
struct SgdParameter {
  Tensor* weights = nullptr;
  const Tensor* diff = nullptr;
  Tensor* velocity = nullptr;
  float rate = 0.0F, weight_decay = 0.0F;
};

struct SgdStepParams {
  float momentum = 0.0F;
  float gradient_scale = 1.0F;  ///< factor of gradient clipping
  bool nesterov = false;
};

/// d = gradient_scale diff + weight_decay w; v = momentum v + d;
/// w -= rate (nesterov ? d + momentum v : v), for each parameter.
void sgd_step(std::span<const SgdParameter> parameters, const SgdStepParams& params);

/// Tensors of equal shape.
struct AveragedTensor {
  Tensor* average = nullptr;
  const Tensor* value = nullptr;
};

/// average = decay average + (1 - decay) value, for each pair.
void moving_average(std::span<const AveragedTensor> tensors, float decay);

/// Sum of squares of all tensors in double; the same bits with any number of threads.
[[nodiscard]] double sum_of_squares(std::span<const Tensor* const> tensors);

/// Whether every value is finite.
[[nodiscard]] bool all_finite(const Tensor& tensor);

}  // namespace branchy::kernels
