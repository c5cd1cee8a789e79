// The Adam and AdamW updates of all parameters in a single pass over memory.
#pragma once

#include <span>

#include "core/tensor.h"

namespace branchy::kernels {

/// Row-major tensors of equal shape.
struct AdamParameter {
  Tensor* weights = nullptr;
  const Tensor* diff = nullptr;
  Tensor *mean = nullptr, *square = nullptr;
  float step_size = 0.0F;     ///< rate / (1 - beta1^t)
  float weight_decay = 0.0F;  ///< added to the gradient (Adam)
  float keep = 1.0F;          ///< factor of the weights before the step (AdamW)
};

struct AdamStepParams {
  float beta1 = 0.0F, new1 = 1.0F;  ///< new1 = 1 - beta1, rounded by itself
  float beta2 = 0.0F, new2 = 1.0F;
  float epsilon = 0.0F;
  float correction = 1.0F;      ///< 1 / sqrt(1 - beta2^t)
  float gradient_scale = 1.0F;  ///< factor of gradient clipping
};

/// w = keep w; g = gradient_scale diff + weight_decay w; mean = beta1 mean + new1 g;
/// square = beta2 square + new2 g^2;
/// w -= step_size mean / (sqrt(square) correction + epsilon), for each parameter.
void adam_step(std::span<const AdamParameter> parameters, const AdamStepParams& params);

}  // namespace branchy::kernels
