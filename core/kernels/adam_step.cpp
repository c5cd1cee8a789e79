#include "core/kernels/adam_step.h"

#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/kernels/array_chunks.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

struct AdamArrays {
  float* weights;
  const float* diff;
  float* mean;
  float* square;
  float step_size, weight_decay, keep;
};

BRANCHY_SIMD_CLONES void adam_range(const AdamArrays& t, const AdamStepParams& p,
                                    std::int64_t begin, std::int64_t end) {
  const AdamStepParams c = p;
  float* const weights = t.weights;
  const float* const diff = t.diff;
  float* const mean = t.mean;
  float* const square = t.square;
  const float step_size = t.step_size;
  const float weight_decay = t.weight_decay;
  const float keep = t.keep;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float w = keep * weights[i];
    const float g = c.gradient_scale * diff[i] + weight_decay * w;
    mean[i] = c.beta1 * mean[i] + c.new1 * g;
    square[i] = c.beta2 * square[i] + c.new2 * (g * g);
    weights[i] = w - step_size * mean[i] / (std::sqrt(square[i]) * c.correction + c.epsilon);
  }
}

}  // namespace

void adam_step(std::span<const AdamParameter> parameters, const AdamStepParams& params) {
  std::vector<AdamArrays> arrays;
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (const AdamParameter& p : parameters) {
    BRANCHY_DCHECK(p.weights->shape() == p.diff->shape() && p.weights->shape() == p.mean->shape() &&
                   p.weights->shape() == p.square->shape());
    arrays.push_back({.weights = p.weights->mutable_data().data(),
                      .diff = p.diff->data().data(),
                      .mean = p.mean->mutable_data().data(),
                      .square = p.square->mutable_data().data(),
                      .step_size = p.step_size,
                      .weight_decay = p.weight_decay,
                      .keep = p.keep});
    sizes.push_back(p.weights->size());
    total += sizes.back();
  }
  const auto chunks = cut_arrays(sizes);
  const TimedWork work(StepWork::kOptimizer, floats_moved(7 * total));
  parallel_chunks(chunks, [&](const ArrayChunk& chunk, std::size_t) {
    adam_range(arrays[chunk.array], params, chunk.begin, chunk.end);
  });
}

}  // namespace branchy::kernels
