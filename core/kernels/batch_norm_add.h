// Batch normalisation, the sum with another tensor and its ReLU, as one operation for training: the
// end of a residual block (He et al. 2016).
#pragma once

#include "core/kernels/batch_norm.h"

namespace branchy::kernels {

/// dst = max(norm(src) + other, 0) with the statistics of src; all [N,C,H,W]. Neither the
/// normalised source nor the sum is stored. `params` has no activation.
[[nodiscard]] BatchNormResult batch_norm_add_relu(const Tensor& src, const Tensor& other,
                                                  const BatchNormParams& params);
/// The same by given statistics.
[[nodiscard]] Tensor batch_norm_add_relu_with(const Tensor& src, const Tensor& other,
                                              const BatchNormParams& params,
                                              const BatchNormStatistics& statistics);

struct BatchNormAddGradients {
  BatchNormGradients norm;
  Tensor other;
};
/// `dst` as forward gave it. Overwrites `diff_dst` when nobody else holds it.
[[nodiscard]] BatchNormAddGradients batch_norm_add_relu_backward(
    Tensor diff_dst, const Tensor& src, const Tensor& dst, const BatchNormParams& params,
    const BatchNormStatistics& statistics, StatisticsOf of);

}  // namespace branchy::kernels
