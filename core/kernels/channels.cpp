#include "core/kernels/channels.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/error.h"
#include "core/kernels/parallel.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

std::int64_t per_sample(const Shape& shape) { return shape.with_batch(1).size(); }

Shape joined_shape(std::span<const Tensor> parts) {
  if (parts.empty()) throw ShapeError("[concat] nothing given, expected one part or more");
  const Shape& first = parts.front().shape();
  std::vector<std::int64_t> dims(first.dims().begin(), first.dims().end());
  if (dims.size() < 2)
    throw ShapeError(fmt::format("[concat] {} has no channels", first.to_string()));
  dims[1] = 0;
  for (const Tensor& part : parts) {
    std::vector<std::int64_t> own(part.shape().dims().begin(), part.shape().dims().end());
    if (own.size() == dims.size()) {
      dims[1] += own[1];
      own[1] = dims[1];
    }
    if (own != dims)
      throw ShapeError(fmt::format("[concat] parts {} and {} differ beside the channels",
                                   first.to_string(), part.shape().to_string()));
  }
  return Shape(dims);
}

}  // namespace

Tensor concat_channels(std::span<const Tensor> parts) {
  Tensor whole(joined_shape(parts));
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * whole.size()));
  const std::int64_t stride = per_sample(whole.shape());
  float* to = whole.mutable_data().data();
  for (const Tensor& part : parts) {
    const std::int64_t size = per_sample(part.shape());
    const float* from = part.data().data();
    for (std::int64_t n = 0; n < whole.dim(0); ++n)
      std::copy_n(from + n * size, size, to + n * stride);
    to += size;
  }
  return whole;
}

std::vector<Tensor> split_channels(const Tensor& whole, std::span<const Shape> parts) {
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * whole.size()));
  const std::int64_t stride = per_sample(whole.shape());
  const float* from = whole.data().data();
  std::vector<Tensor> slices;
  for (const Shape& shape : parts) {
    Tensor& slice = slices.emplace_back(shape);
    const std::int64_t size = per_sample(shape);
    float* to = slice.mutable_data().data();
    for (std::int64_t n = 0; n < whole.dim(0); ++n)
      std::copy_n(from + n * stride, size, to + n * size);
    from += size;
  }
  return slices;
}

Tensor scale_channels(const Tensor& src, const Tensor& scale) {
  const Shape& s = src.shape();
  if (s.rank() != 4 || scale.shape().rank() < 2 || scale.dim(0) != s[0] || scale.dim(1) != s[1] ||
      scale.size() != s[0] * s[1])
    throw ShapeError(fmt::format("[scale_channels] {} cannot be scaled by {}, expected [N,C]",
                                 s.to_string(), scale.shape().to_string()));
  Tensor dst(s);
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * s.size()));
  const std::int64_t pixels = s[2] * s[3];
  const float* x = src.data().data();
  const float* factors = scale.data().data();
  float* y = dst.mutable_data().data();
  parallel_ranges(s.size(), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = x[i] * factors[i / pixels];
  });
  return dst;
}

Tensor channel_dots(const Tensor& a, const Tensor& b, const Shape& shape) {
  BRANCHY_DCHECK(a.shape() == b.shape());
  Tensor dots(shape);
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * a.size()));
  const std::int64_t pixels = a.dim(2) * a.dim(3);
  const float* x = a.data().data();
  const float* y = b.data().data();
  for (float& dot : dots.mutable_data()) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < pixels; ++i)
      sum += static_cast<double>(*x++) * static_cast<double>(*y++);
    dot = static_cast<float>(sum);
  }
  return dots;
}

}  // namespace branchy::kernels
