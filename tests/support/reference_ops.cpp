#include "tests/support/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/rng.h"

namespace branchy::test {

namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

std::int64_t offset(const Shape& s, std::int64_t n, std::int64_t c, std::int64_t y,
                    std::int64_t x) {
  return ((n * s[1] + c) * s[2] + y) * s[3] + x;
}

bool inside(const Shape& s, std::int64_t y, std::int64_t x) {
  return y >= 0 && y < s[2] && x >= 0 && x < s[3];
}

/// Pixels of one channel of [N,C,H,W]; 1 for [N,C].
std::int64_t pixels_of(const Shape& s) { return s.size() / (s[0] * s[1]); }

}  // namespace

Array to_array(const Tensor& tensor) {
  Array array(tensor.shape());
  const auto values = tensor.data();
  std::copy(values.begin(), values.end(), array.values.begin());
  return array;
}

Tensor to_tensor(const Array& array) {
  Tensor tensor(array.shape);
  const auto values = tensor.mutable_data();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(array.values[i]);
  return tensor;
}

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Rng rng({seed, 0x7E57});
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.uniform(-1.0F, 1.0F);
  return tensor;
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.data();
  const auto y = b.data();
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return sum;
}

double relative_error(const Tensor& actual, const Array& expected) {
  if (actual.shape() != expected.shape) return std::numeric_limits<double>::infinity();
  double difference = 0.0;
  double largest = 1e-30;
  const auto values = actual.data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, std::abs(values[i] - expected.values[i]));
    largest = std::max(largest, std::abs(expected.values[i]));
  }
  return difference / largest;
}

double relative_error(const Tensor& actual, const Tensor& expected) {
  return relative_error(actual, to_array(expected));
}

Array convolution(const ReferenceConvolution& geometry, const Array& src, const Array& weights,
                  const std::optional<Array>& bias) {
  Array dst(geometry.dst);
  if (bias) {
    const std::int64_t pixels = geometry.dst[2] * geometry.dst[3];
    for (std::int64_t i = 0; i < geometry.dst.size(); ++i)
      dst.values[at(i)] = bias->values[at(i / pixels % geometry.dst[1])];
  }
  geometry.for_each_tap([&](std::int64_t s, std::int64_t w, std::int64_t d) {
    if (s >= 0 && d >= 0) dst.values[at(d)] += src.values[at(s)] * weights.values[at(w)];
  });
  return dst;
}

ConvolutionGradients convolution_backward(const ReferenceConvolution& geometry, const Array& src,
                                          const Array& weights, const Array& diff_dst) {
  ConvolutionGradients diffs{Array(src.shape), Array(weights.shape), Array(Shape{geometry.dst[1]})};
  geometry.for_each_tap([&](std::int64_t s, std::int64_t w, std::int64_t d) {
    if (s < 0 || d < 0) return;
    diffs.src.values[at(s)] += diff_dst.values[at(d)] * weights.values[at(w)];
    diffs.weights.values[at(w)] += diff_dst.values[at(d)] * src.values[at(s)];
  });
  const std::int64_t pixels = geometry.dst[2] * geometry.dst[3];
  for (std::int64_t i = 0; i < geometry.dst.size(); ++i)
    diffs.bias.values[at(i / pixels % geometry.dst[1])] += diff_dst.values[at(i)];
  return diffs;
}

void ReferenceBatchNorm::use_statistics_of(const Array& src) {
  const std::int64_t channels = src.shape[1];
  const std::int64_t pixels = pixels_of(src.shape);
  const double count = static_cast<double>(src.shape[0] * pixels);
  batch_statistics = true;
  mean = Array(Shape{channels});
  variance = Array(Shape{channels});
  for (std::int64_t i = 0; i < src.shape.size(); ++i)
    mean.values[at(i / pixels % channels)] += src.values[at(i)] / count;
  for (std::int64_t i = 0; i < src.shape.size(); ++i) {
    const std::size_t c = at(i / pixels % channels);
    const double centred = src.values[at(i)] - mean.values[c];
    variance.values[c] += centred * centred / count;
  }
}

Array ReferenceBatchNorm::forward(const Array& src) const {
  const std::int64_t pixels = pixels_of(src.shape);
  Array dst(src.shape);
  for (std::int64_t i = 0; i < src.shape.size(); ++i) {
    const std::size_t c = at(i / pixels % src.shape[1]);
    const double normalised =
        (src.values[at(i)] - mean.values[c]) / std::sqrt(variance.values[c] + epsilon);
    dst.values[at(i)] = normalised * scale.values[c] + shift.values[c];
  }
  return dst;
}

ReferenceBatchNorm::Gradients ReferenceBatchNorm::backward(const Array& src,
                                                           const Array& diff_dst) const {
  const std::int64_t channels = src.shape[1];
  const std::int64_t pixels = pixels_of(src.shape);
  const double count = static_cast<double>(src.shape[0] * pixels);
  Gradients diffs{Array(src.shape), Array(Shape{channels}), Array(Shape{channels})};
  const auto normalised = [&](std::int64_t i, std::size_t c) {
    return (src.values[at(i)] - mean.values[c]) / std::sqrt(variance.values[c] + epsilon);
  };
  for (std::int64_t i = 0; i < src.shape.size(); ++i) {
    const std::size_t c = at(i / pixels % channels);
    diffs.scale.values[c] += diff_dst.values[at(i)] * normalised(i, c);
    diffs.shift.values[c] += diff_dst.values[at(i)];
  }
  for (std::int64_t i = 0; i < src.shape.size(); ++i) {
    const std::size_t c = at(i / pixels % channels);
    double diff = diff_dst.values[at(i)];
    if (batch_statistics)
      diff -= (diffs.shift.values[c] + normalised(i, c) * diffs.scale.values[c]) / count;
    diffs.src.values[at(i)] = scale.values[c] * diff / std::sqrt(variance.values[c] + epsilon);
  }
  return diffs;
}

double activate(ActivationKind kind, double x) {
  if (kind == ActivationKind::kSigmoid) return 1.0 / (1.0 + std::exp(-x));
  const double positive = std::max(x, 0.0);
  return kind == ActivationKind::kRelu6 ? std::min(positive, 6.0) : positive;
}

double activation_slope(ActivationKind kind, double x) {
  if (kind == ActivationKind::kSigmoid) return activate(kind, x) * (1.0 - activate(kind, x));
  return x > 0.0 && (kind != ActivationKind::kRelu6 || x < 6.0) ? 1.0 : 0.0;
}

namespace {

/// Calls `visit(dst index, src indices of its window, size of the window with padding)`.
void for_each_window(
    const Shape& src, const Shape& dst, const PoolOp& op,
    const std::function<void(std::int64_t, const std::vector<std::int64_t>&, double)>& visit) {
  const bool global = op.kernel == 0;
  const std::int64_t height = global ? src[2] : op.kernel;
  const std::int64_t width = global ? src[3] : op.kernel;
  std::vector<std::int64_t> window;
  for (std::int64_t n = 0; n < dst[0]; ++n)
    for (std::int64_t c = 0; c < dst[1]; ++c)
      for (std::int64_t y = 0; y < dst[2]; ++y)
        for (std::int64_t x = 0; x < dst[3]; ++x) {
          window.clear();
          for (std::int64_t ky = 0; ky < height; ++ky)
            for (std::int64_t kx = 0; kx < width; ++kx) {
              const std::int64_t sy = y * op.stride - op.padding + ky;
              const std::int64_t sx = x * op.stride - op.padding + kx;
              if (inside(src, sy, sx)) window.push_back(offset(src, n, c, sy, sx));
            }
          visit(offset(dst, n, c, y, x), window, static_cast<double>(height * width));
        }
}

}  // namespace

Array pool(const Array& src, const Shape& dst_shape, const PoolOp& op) {
  Array dst(dst_shape);
  for_each_window(src.shape, dst_shape, op, [&](auto d, const auto& window, double size) {
    double largest = -std::numeric_limits<double>::infinity();
    double sum = 0.0;
    for (const std::int64_t s : window) {
      largest = std::max(largest, src.values[at(s)]);
      sum += src.values[at(s)];
    }
    dst.values[at(d)] = op.kind == PoolKind::kMax ? largest : sum / size;
  });
  return dst;
}

Array pool_backward(const Array& src, const Array& diff_dst, const PoolOp& op) {
  Array diff(src.shape);
  for_each_window(src.shape, diff_dst.shape, op, [&](auto d, const auto& window, double size) {
    if (op.kind == PoolKind::kAverage) {
      for (const std::int64_t s : window) diff.values[at(s)] += diff_dst.values[at(d)] / size;
      return;
    }
    const auto largest = std::max_element(
        window.begin(), window.end(),
        [&](std::int64_t a, std::int64_t b) { return src.values[at(a)] < src.values[at(b)]; });
    diff.values[at(*largest)] += diff_dst.values[at(d)];
  });
  return diff;
}

Array linear(const Array& src, const Array& weights, const std::optional<Array>& bias) {
  const std::int64_t in = weights.shape[1];
  const std::int64_t out = weights.shape[0];
  Array dst(Shape{src.shape[0], out});
  for (std::int64_t n = 0; n < src.shape[0]; ++n)
    for (std::int64_t o = 0; o < out; ++o) {
      double sum = bias ? bias->values[at(o)] : 0.0;
      for (std::int64_t i = 0; i < in; ++i)
        sum += src.values[at(n * in + i)] * weights.values[at(o * in + i)];
      dst.values[at(n * out + o)] = sum;
    }
  return dst;
}

}  // namespace branchy::test
