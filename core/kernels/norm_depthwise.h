// A batch norm of given statistics with its activation and the depth-wise convolution behind it, as
// one operation: what lies between the two is computed anew where it is read and never stored.
#pragma once

#include "core/kernels/batch_norm.h"
#include "core/tensor.h"

namespace branchy::kernels {

/// Kernel 3x3, padding 1, no bias.
struct DepthwiseParams {
  Tensor weights;           ///< [C,1,3,3]
  std::int64_t stride = 1;  ///< 1 or 2
};

/// src [N,C,H,W] -> dst [N,C,H',W'], H' = floor((H - 1) / stride) + 1. The bits do not depend on
/// the number of threads.
[[nodiscard]] Tensor norm_depthwise(const Tensor& src, const BatchNormParams& norm,
                                    const DepthwiseParams& conv,
                                    const BatchNormStatistics& statistics);

struct NormDepthwiseGradients {
  Tensor src, scale, shift, weights;
};
/// The statistics are constants. Overwrites `src` when nobody else holds it.
[[nodiscard]] NormDepthwiseGradients norm_depthwise_backward(const Tensor& diff_dst, Tensor src,
                                                             const BatchNormParams& norm,
                                                             const DepthwiseParams& conv,
                                                             const BatchNormStatistics& statistics);

}  // namespace branchy::kernels
