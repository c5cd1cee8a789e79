#include "core/kernels/sgd_step.h"

#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/kernels/array_chunks.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

struct SgdArrays {
  float* weights;
  const float* diff;
  float* velocity;
  float rate, weight_decay;
};

BRANCHY_SIMD_CLONES void sgd_range(const SgdArrays& arrays, const SgdStepParams& p,
                                   std::int64_t begin, std::int64_t end) {
  const SgdStepParams c = p;
  const SgdArrays a = arrays;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float d = c.gradient_scale * a.diff[i] + a.weight_decay * a.weights[i];
    a.velocity[i] = c.momentum * a.velocity[i] + d;
    a.weights[i] -= a.rate * (c.nesterov ? d + c.momentum * a.velocity[i] : a.velocity[i]);
  }
}

struct AveragedArrays {
  float* average;
  const float* value;
};

BRANCHY_SIMD_CLONES void average_range(const AveragedArrays& arrays, float decay,
                                       std::int64_t begin, std::int64_t end) {
  float* const average = arrays.average;
  const float* const value = arrays.value;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i)
    average[i] = decay * average[i] + (1.0F - decay) * value[i];
}

/// In eight sums, whatever the CPU's vectors.
BRANCHY_SIMD_CLONES double squares_range(const float* values, std::int64_t begin,
                                         std::int64_t end) {
  constexpr std::int64_t kSums = 8;
  double sums[kSums] = {};
  std::int64_t i = begin;
  for (; i + kSums <= end; i += kSums)
    for (std::int64_t k = 0; k < kSums; ++k) {
      const auto value = static_cast<double>(values[i + k]);
      sums[k] += value * value;
    }
  for (std::int64_t k = 0; i < end; ++i, ++k) {
    const auto value = static_cast<double>(values[i]);
    sums[k] += value * value;
  }
  for (std::int64_t half = kSums / 2; half > 0; half /= 2)
    for (std::int64_t k = 0; k < half; ++k) sums[k] += sums[k + half];
  return sums[0];
}

}  // namespace

void sgd_step(std::span<const SgdParameter> parameters, const SgdStepParams& params) {
  std::vector<SgdArrays> arrays;
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (const SgdParameter& p : parameters) {
    BRANCHY_DCHECK(p.weights->shape() == p.diff->shape() &&
                   p.weights->shape() == p.velocity->shape());
    arrays.push_back({p.weights->mutable_data().data(), p.diff->data().data(),
                      p.velocity->mutable_data().data(), p.rate, p.weight_decay});
    sizes.push_back(p.weights->size());
    total += sizes.back();
  }
  const auto chunks = cut_arrays(sizes);
  const TimedWork work(StepWork::kOptimizer, floats_moved(5 * total));
  parallel_chunks(chunks, [&](const ArrayChunk& chunk, std::size_t) {
    sgd_range(arrays[chunk.array], params, chunk.begin, chunk.end);
  });
}

void moving_average(std::span<const AveragedTensor> tensors, float decay) {
  std::vector<AveragedArrays> arrays;
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (const AveragedTensor& t : tensors) {
    BRANCHY_DCHECK(t.average->shape() == t.value->shape());
    arrays.push_back({t.average->mutable_data().data(), t.value->data().data()});
    sizes.push_back(t.average->size());
    total += sizes.back();
  }
  const auto chunks = cut_arrays(sizes);
  const TimedWork work(StepWork::kOptimizer, floats_moved(3 * total));
  parallel_chunks(chunks, [&](const ArrayChunk& chunk, std::size_t) {
    average_range(arrays[chunk.array], decay, chunk.begin, chunk.end);
  });
}

double sum_of_squares(std::span<const Tensor* const> tensors) {
  std::vector<const float*> arrays;
  std::vector<std::int64_t> sizes;
  std::int64_t total = 0;
  for (const Tensor* tensor : tensors) {
    arrays.push_back(tensor->data().data());
    sizes.push_back(tensor->size());
    total += sizes.back();
  }
  const auto chunks = cut_arrays(sizes);
  const TimedWork work(StepWork::kOptimizer, floats_moved(total));
  std::vector<double> parts(chunks.size());
  parallel_chunks(chunks, [&](const ArrayChunk& chunk, std::size_t index) {
    parts[index] = squares_range(arrays[chunk.array], chunk.begin, chunk.end);
  });
  double sum = 0.0;
  for (const double part : parts) sum += part;
  return sum;
}

bool all_finite(const Tensor& tensor) {
  for (const float value : tensor.data())
    if (!std::isfinite(value)) return false;
  return true;
}

}  // namespace branchy::kernels
