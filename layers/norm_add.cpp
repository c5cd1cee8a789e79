#include "layers/norm_add.h"

#include <utility>
#include <vector>

#include "core/error.h"
#include "core/kernels/batch_norm_add.h"
#include "core/step_profile.h"

namespace branchy {

Variable norm_add_relu(const Variable& src, BatchNorm2d& norm, const Variable& other,
                       const Pass& pass) {
  static_cast<void>(norm.output_shape(src.shape()));
  const kernels::BatchNormParams params = norm.kernel_params();
  BRANCHY_DCHECK(!params.activation);
  const OwnedWork own(norm.name(), "norm_add_relu");
  const bool trains = pass.mode == Mode::kTrain;
  kernels::BatchNormResult result;
  if (trains) {
    result = kernels::batch_norm_add_relu(src.value(), other.value(), params);
    norm.update_running_statistics(result.statistics, src.shape());
  } else {
    result.statistics = norm.running_statistics();
    result.dst =
        kernels::batch_norm_add_relu_with(src.value(), other.value(), params, result.statistics);
  }
  const auto of = trains ? kernels::StatisticsOf::kSource : kernels::StatisticsOf::kConstant;
  const Tensor dst = result.dst;
  // Behind ReLU the gradient goes to both terms alike; for the norm see Ioffe, Szegedy 2015,
  // section 3.
  return record("norm_add_relu", dst, {src, norm.weight(), norm.bias(), other},
                [src_value = src.value(), dst, params, statistics = result.statistics, of](
                    Tensor diff_dst, Wanted) {
                  auto diffs = kernels::batch_norm_add_relu_backward(std::move(diff_dst), src_value,
                                                                     dst, params, statistics, of);
                  return std::vector<Tensor>{std::move(diffs.norm.src), std::move(diffs.norm.scale),
                                             std::move(diffs.norm.shift), std::move(diffs.other)};
                });
}

}  // namespace branchy
