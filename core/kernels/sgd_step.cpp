#include "core/kernels/sgd_step.h"

#include <cmath>

#include "core/error.h"
#include "core/kernels/parallel.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

BRANCHY_SIMD_CLONES void sgd_range(float* w, const float* diff, float* v, const SgdStepParams& p,
                                   std::int64_t begin, std::int64_t end) {
  const SgdStepParams c = p;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float d = c.gradient_scale * diff[i] + c.weight_decay * w[i];
    v[i] = c.momentum * v[i] + d;
    w[i] -= c.rate * (c.nesterov ? d + c.momentum * v[i] : v[i]);
  }
}

BRANCHY_SIMD_CLONES void average_range(float* average, const float* value, float decay,
                                       std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i)
    average[i] = decay * average[i] + (1.0F - decay) * value[i];
}

}  // namespace

void sgd_step(Tensor& weights, const Tensor& diff, Tensor& velocity, const SgdStepParams& params) {
  BRANCHY_DCHECK(weights.shape() == diff.shape() && weights.shape() == velocity.shape());
  const TimedWork work(StepWork::kOptimizer, floats_moved(5 * weights.size()));
  float* w = weights.mutable_data().data();
  float* v = velocity.mutable_data().data();
  const float* d = diff.data().data();
  parallel_ranges(weights.size(), [&](std::int64_t begin, std::int64_t end) {
    sgd_range(w, d, v, params, begin, end);
  });
}

void moving_average(Tensor& average, const Tensor& value, float decay) {
  BRANCHY_DCHECK(average.shape() == value.shape());
  const TimedWork work(StepWork::kOptimizer, floats_moved(3 * average.size()));
  float* a = average.mutable_data().data();
  const float* v = value.data().data();
  parallel_ranges(average.size(), [=](std::int64_t begin, std::int64_t end) {
    average_range(a, v, decay, begin, end);
  });
}

double sum_of_squares(const Tensor& tensor) {
  const TimedWork work(StepWork::kOptimizer, floats_moved(tensor.size()));
  double sum = 0.0;
  for (const float value : tensor.data())
    sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

bool all_finite(const Tensor& tensor) {
  for (const float value : tensor.data())
    if (!std::isfinite(value)) return false;
  return true;
}

}  // namespace branchy::kernels
