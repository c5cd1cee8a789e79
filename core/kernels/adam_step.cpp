#include "core/kernels/adam_step.h"

#include <cmath>

#include "core/error.h"
#include "core/kernels/parallel.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

struct AdamTensors {
  float* weights;
  const float* diff;
  float* mean;
  float* square;
};

BRANCHY_SIMD_CLONES void adam_range(const AdamTensors& t, const AdamStepParams& p,
                                    std::int64_t begin, std::int64_t end) {
  const AdamStepParams c = p;
  float* const weights = t.weights;
  const float* const diff = t.diff;
  float* const mean = t.mean;
  float* const square = t.square;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float w = c.keep * weights[i];
    const float g = c.gradient_scale * diff[i] + c.weight_decay * w;
    mean[i] = c.beta1 * mean[i] + c.new1 * g;
    square[i] = c.beta2 * square[i] + c.new2 * (g * g);
    weights[i] = w - c.step_size * mean[i] / (std::sqrt(square[i]) * c.correction + c.epsilon);
  }
}

}  // namespace

void adam_step(Tensor& weights, const Tensor& diff, Tensor& mean, Tensor& square,
               const AdamStepParams& params) {
  BRANCHY_DCHECK(weights.shape() == diff.shape() && weights.shape() == mean.shape() &&
                 weights.shape() == square.shape());
  const TimedWork work(StepWork::kOptimizer, floats_moved(7 * weights.size()));
  const AdamTensors tensors{.weights = weights.mutable_data().data(),
                            .diff = diff.data().data(),
                            .mean = mean.mutable_data().data(),
                            .square = square.mutable_data().data()};
  parallel_ranges(weights.size(), [&](std::int64_t begin, std::int64_t end) {
    adam_range(tensors, params, begin, end);
  });
}

}  // namespace branchy::kernels
