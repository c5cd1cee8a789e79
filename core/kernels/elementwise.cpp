#include "core/kernels/elementwise.h"

#include <fmt/core.h>

#include <utility>

#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "core/kernels/parallel.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

using dnn::TensorAccess;

BRANCHY_SIMD_CLONES void add_range(const float* a, const float* b, float* dst, std::int64_t begin,
                                   std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) dst[i] = a[i] + b[i];
}

BRANCHY_SIMD_CLONES void multiply_range(const float* a, const float* b, float* dst,
                                        std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) dst[i] = a[i] * b[i];
}

BRANCHY_SIMD_CLONES void relu_backward_range(const float* diff, const float* dst, float* diff_src,
                                             std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) diff_src[i] = dst[i] > 0.0F ? diff[i] : 0.0F;
}

BRANCHY_SIMD_CLONES void scale_range(const float* a, float factor, float* dst, std::int64_t begin,
                                     std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) dst[i] = factor * a[i];
}

using BinaryRange = void (*)(const float*, const float*, float*, std::int64_t, std::int64_t);

void run(BinaryRange range, const Tensor& a, const Tensor& b, Tensor& dst) {
  const TimedWork work(StepWork::kElementwise, floats_moved(3 * TensorAccess::physical_size(a)));
  const float* pa = TensorAccess::physical(a);
  const float* pb = TensorAccess::physical(b);
  float* pd = TensorAccess::mutable_physical(dst);
  parallel_ranges(TensorAccess::physical_size(a),
                  [=](std::int64_t begin, std::int64_t end) { range(pa, pb, pd, begin, end); });
}

Tensor binary(const char* place, BinaryRange range, const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape())
    throw ShapeError(fmt::format("[{}] shapes {} and {} must be equal", place,
                                 a.shape().to_string(), b.shape().to_string()));
  const Tensor other = dnn::in_layout_of(b, a);
  Tensor dst = dnn::empty_like(a);
  run(range, a, other, dst);
  return dst;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return binary("add", add_range, a, b); }

Tensor multiply(const Tensor& a, const Tensor& b) {
  return binary("multiply", multiply_range, a, b);
}

Tensor relu_backward(const Tensor& diff_dst, const Tensor& dst) {
  return binary("relu_backward", relu_backward_range, diff_dst, dst);
}

void accumulate(Tensor& sum, Tensor diff) {
  BRANCHY_DCHECK(sum.shape() == diff.shape());
  if (dnn::same_layout(sum, diff) && !TensorAccess::sole_owner(sum) &&
      TensorAccess::sole_owner(diff))
    std::swap(sum, diff);
  if (!TensorAccess::sole_owner(sum)) {
    sum = add(sum, diff);
    return;
  }
  const Tensor other = dnn::in_layout_of(diff, sum);
  run(add_range, sum, other, sum);
}

Tensor scale(const Tensor& a, float factor) {
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * a.size()));
  Tensor dst = dnn::empty_like(a);
  const float* src = TensorAccess::physical(a);
  float* out = TensorAccess::mutable_physical(dst);
  parallel_ranges(TensorAccess::physical_size(a), [=](std::int64_t begin, std::int64_t end) {
    scale_range(src, factor, out, begin, end);
  });
  return dst;
}

}  // namespace branchy::kernels
