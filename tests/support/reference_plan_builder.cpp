#include "tests/support/reference_plan_builder.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace branchy::test {

namespace {

std::size_t index_of(const Shape& s, std::int64_t n, std::int64_t c, std::int64_t h,
                     std::int64_t w) {
  return static_cast<std::size_t>(((n * s[1] + c) * s[2] + h) * s[3] + w);
}

/// Calls `visit(n, c, h, w)` for every element of [N,C,H,W].
template <class Visit>
void for_each(const Shape& s, const Visit& visit) {
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t h = 0; h < s[2]; ++h)
        for (std::int64_t w = 0; w < s[3]; ++w) visit(n, c, h, w);
}

bool inside(const Shape& s, std::int64_t h, std::int64_t w) {
  return h >= 0 && h < s[2] && w >= 0 && w < s[3];
}

std::vector<double> zeros(const Shape& shape) {
  return std::vector<double>(static_cast<std::size_t>(shape.size()));
}

}  // namespace

ReferencePlanBuilder::ReferencePlanBuilder(const Tensor& src) {
  keep(src.shape(), {src.data().begin(), src.data().end()});
}

PlanValue ReferencePlanBuilder::keep(const Shape& shape, std::vector<double> values) {
  values_.emplace_back(shape, std::move(values));
  return static_cast<PlanValue>(values_.size() - 1);
}

PlanValue ReferencePlanBuilder::convolution(PlanValue src, const ConvolutionOp& op) {
  const Shape s = shape(src);
  const Shape k = op.weights.shape();
  const auto weights = op.weights.data();
  const std::int64_t out = op.transposed ? k[1] * op.groups : k[0];
  const auto size = [&](std::int64_t in) {
    return op.transposed ? (in - 1) * op.stride - 2 * op.padding + k[2]
                         : (in + 2 * op.padding - k[2]) / op.stride + 1;
  };
  const Shape d{s[0], out, size(s[2]), size(s[3])};
  auto dst = zeros(d);
  const std::int64_t in_group = s[1] / op.groups;
  const std::int64_t out_group = out / op.groups;
  for_each(d, [&](auto n, auto o, auto h, auto w) {
    if (op.bias.defined())
      dst[index_of(d, n, o, h, w)] += double{op.bias.data()[static_cast<std::size_t>(o)]};
  });
  // Both forms pair small-grid position (h, w) with large-grid position h stride - padding + kh.
  const Shape small = op.transposed ? s : d;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t i = 0; i < in_group; ++i)
        for (std::int64_t h = 0; h < small[2]; ++h)
          for (std::int64_t w = 0; w < small[3]; ++w)
            for (std::int64_t kh = 0; kh < k[2]; ++kh)
              for (std::int64_t kw = 0; kw < k[3]; ++kw) {
                const std::int64_t y = h * op.stride - op.padding + kh;
                const std::int64_t x = w * op.stride - op.padding + kw;
                const std::int64_t c = o / out_group * in_group + i;
                if (op.transposed) {
                  if (inside(d, y, x))
                    dst[index_of(d, n, o, y, x)] +=
                        values(src)[index_of(s, n, c, h, w)] *
                        double{weights[index_of(k, c, o % out_group, kh, kw)]};
                } else if (inside(s, y, x)) {
                  dst[index_of(d, n, o, h, w)] += values(src)[index_of(s, n, c, y, x)] *
                                                  double{weights[index_of(k, o, i, kh, kw)]};
                }
              }
  return keep(d, std::move(dst));
}

PlanValue ReferencePlanBuilder::batch_norm(PlanValue src, const BatchNormOp& op) {
  const Shape s = shape(src);
  auto dst = values(src);
  const auto channels = static_cast<std::size_t>(s[1]);
  const auto inner = static_cast<std::size_t>(s.size()) / static_cast<std::size_t>(s[0] * s[1]);
  for (std::size_t i = 0; i < dst.size(); ++i) {
    const std::size_t c = i / inner % channels;
    dst[i] = (dst[i] - double{op.mean.data()[c]}) /
                 std::sqrt(double{op.variance.data()[c]} + double{op.epsilon}) *
                 double{op.scale.data()[c]} +
             double{op.shift.data()[c]};
  }
  return keep(s, std::move(dst));
}

PlanValue ReferencePlanBuilder::activation(PlanValue src, ActivationKind kind) {
  auto dst = values(src);
  for (double& x : dst) {
    if (kind == ActivationKind::kSigmoid)
      x = 1.0 / (1.0 + std::exp(-x));
    else
      x = std::clamp(x, 0.0, kind == ActivationKind::kRelu6 ? 6.0 : x > 0 ? x : 0.0);
  }
  return keep(Shape(shape(src)), std::move(dst));
}

PlanValue ReferencePlanBuilder::pool(PlanValue src, const PoolOp& op) {
  const Shape s = shape(src);
  const bool global = op.kernel == 0;
  const std::int64_t rows = global ? s[2] : op.kernel;
  const std::int64_t columns = global ? s[3] : op.kernel;
  const Shape d = global ? Shape{s[0], s[1], 1, 1}
                         : Shape{s[0], s[1], (s[2] + 2 * op.padding - rows) / op.stride + 1,
                                 (s[3] + 2 * op.padding - columns) / op.stride + 1};
  auto dst = zeros(d);
  for_each(d, [&](auto n, auto c, auto h, auto w) {
    double sum = 0;
    double most = -std::numeric_limits<double>::infinity();
    for (std::int64_t kh = 0; kh < rows; ++kh)
      for (std::int64_t kw = 0; kw < columns; ++kw) {
        const std::int64_t y = global ? kh : h * op.stride - op.padding + kh;
        const std::int64_t x = global ? kw : w * op.stride - op.padding + kw;
        if (!inside(s, y, x)) continue;
        sum += values(src)[index_of(s, n, c, y, x)];
        most = std::max(most, values(src)[index_of(s, n, c, y, x)]);
      }
    dst[index_of(d, n, c, h, w)] =
        op.kind == PoolKind::kMax ? most : sum / static_cast<double>(rows * columns);
  });
  return keep(d, std::move(dst));
}

PlanValue ReferencePlanBuilder::subsample(PlanValue src, const SubsampleOp& op) {
  const Shape s = shape(src);
  const Shape d{s[0], op.front + s[1] + op.behind, (s[2] + op.stride - 1) / op.stride,
                (s[3] + op.stride - 1) / op.stride};
  auto dst = zeros(d);
  for_each(d, [&](auto n, auto c, auto h, auto w) {
    if (c >= op.front && c < op.front + s[1])
      dst[index_of(d, n, c, h, w)] =
          values(src)[index_of(s, n, c - op.front, h * op.stride, w * op.stride)];
  });
  return keep(d, std::move(dst));
}

PlanValue ReferencePlanBuilder::linear(PlanValue src, const LinearOp& op) {
  const Shape s = shape(src);
  const auto outputs = static_cast<std::size_t>(op.weights.dim(0));
  const auto inputs = static_cast<std::size_t>(op.weights.dim(1));
  const Shape d{s[0], op.weights.dim(0)};
  auto dst = zeros(d);
  for (std::size_t i = 0; i < dst.size(); ++i) {
    const std::size_t row = i / outputs;
    const std::size_t o = i % outputs;
    if (op.bias.defined()) dst[i] = double{op.bias.data()[o]};
    for (std::size_t k = 0; k < inputs; ++k)
      dst[i] += values(src)[row * inputs + k] * double{op.weights.data()[o * inputs + k]};
  }
  return keep(d, std::move(dst));
}

PlanValue ReferencePlanBuilder::flatten(PlanValue src) {
  const Shape s = shape(src);
  return keep({s[0], s.size() / s[0]}, std::vector<double>(values(src)));
}

PlanValue ReferencePlanBuilder::add(PlanValue a, PlanValue b) {
  auto dst = values(a);
  for (std::size_t i = 0; i < dst.size(); ++i) dst[i] += values(b)[i];
  return keep(Shape(shape(a)), std::move(dst));
}

PlanValue ReferencePlanBuilder::concat(std::span<const PlanValue> parts) {
  const Shape first = shape(parts[0]);
  std::int64_t channels = 0;
  for (const PlanValue part : parts) channels += shape(part)[1];
  const std::int64_t inner = first.size() / (first[0] * first[1]);
  std::vector<double> dst;
  for (std::int64_t n = 0; n < first[0]; ++n)
    for (const PlanValue part : parts) {
      const auto run = static_cast<std::ptrdiff_t>(shape(part)[1] * inner);
      const auto begin = values(part).begin() + n * run;
      dst.insert(dst.end(), begin, begin + run);
    }
  if (first.rank() == 2) return keep({first[0], channels}, std::move(dst));
  return keep({first[0], channels, first[2], first[3]}, std::move(dst));
}

PlanValue ReferencePlanBuilder::scale_channels(PlanValue src, PlanValue scale) {
  const Shape s = shape(src);
  auto dst = values(src);
  const auto inner = static_cast<std::size_t>(s[2] * s[3]);
  for (std::size_t i = 0; i < dst.size(); ++i) dst[i] *= values(scale)[i / inner];
  return keep(s, std::move(dst));
}

}  // namespace branchy::test
