#include "layers/norm_depthwise.h"

#include <utility>
#include <vector>

#include "core/error.h"
#include "core/kernels/norm_depthwise.h"
#include "core/step_profile.h"

namespace branchy {

bool is_depthwise_3x3(const Conv2dParams& conv) {
  return conv.groups == conv.in && conv.out == conv.in && conv.kernel == 3 && conv.padding == 1 &&
         (conv.stride == 1 || conv.stride == 2) && !conv.bias;
}

Variable norm_depthwise(const Variable& src, const BatchNorm2d& norm, const Conv2d& conv) {
  BRANCHY_DCHECK(is_depthwise_3x3(conv.params()));
  static_cast<void>(conv.output_shape(norm.output_shape(src.shape())));
  const OwnedWork own(conv.name(), "norm_depthwise");
  const kernels::BatchNormParams norm_params = norm.kernel_params();
  const kernels::DepthwiseParams conv_params{conv.weight().value(), conv.params().stride};
  const kernels::BatchNormStatistics statistics = norm.running_statistics();
  Tensor dst = kernels::norm_depthwise(src.value(), norm_params, conv_params, statistics);
  // The rules of both operations, one behind the other: Ioffe, Szegedy 2015, section 3, and the
  // transposed convolution.
  return record("norm_depthwise", std::move(dst), {src, norm.weight(), norm.bias(), conv.weight()},
                [src_value = src.value(), norm_params, conv_params, statistics](
                    const Tensor& diff_dst, Wanted) mutable {
                  auto diffs =
                      kernels::norm_depthwise_backward(diff_dst, std::exchange(src_value, Tensor()),
                                                       norm_params, conv_params, statistics);
                  return std::vector<Tensor>{std::move(diffs.src), std::move(diffs.scale),
                                             std::move(diffs.shift), std::move(diffs.weights)};
                });
}

}  // namespace branchy
