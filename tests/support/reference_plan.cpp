#include "tests/support/reference_plan.h"

#include <memory>
#include <stdexcept>
#include <utility>

namespace branchy::test {

namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// The definition of the output size, by counting the places where the window fits.
std::int64_t places(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                    std::int64_t padding) {
  std::int64_t count = 0;
  while (count * stride + kernel <= size + 2 * padding) ++count;
  return count;
}

Array reshaped(Array array, const Shape& shape) {
  array.shape = shape;
  return array;
}

}  // namespace

ReferencePlan::ReferencePlan(const Shape& src) : batch_(src[0]) { append(src.with_batch(1), {}); }

PlanValue ReferencePlan::append(const Shape& shape_of_one, Operation operation) {
  shapes_.push_back(shape_of_one);
  operations_.push_back(std::move(operation));
  values_.emplace_back();
  diffs_.emplace_back();
  return static_cast<PlanValue>(shapes_.size()) - 1;
}

const Shape& ReferencePlan::shape(PlanValue v) const { return shapes_.at(at(v)); }
const Array& ReferencePlan::value(PlanValue v) const { return values_.at(at(v)); }

void ReferencePlan::accumulate(PlanValue v, const Array& diff) {
  Array& sum = diffs_.at(at(v));
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += diff.values.at(i);
}

std::int64_t ReferencePlan::take(const Tensor& tensor) {
  if (!tensor.defined()) return -1;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].tensor.shares_storage_with(tensor)) return static_cast<std::int64_t>(i);
  parameters_.push_back({tensor, to_array(tensor), Array(tensor.shape())});
  return static_cast<std::int64_t>(parameters_.size()) - 1;
}

ReferencePlan::Parameter& ReferencePlan::find(const Tensor& tensor) {
  for (Parameter& known : parameters_)
    if (known.tensor.shares_storage_with(tensor)) return known;
  throw std::logic_error("the lowered operations do not use this parameter");
}

Array& ReferencePlan::parameter(const Tensor& tensor) { return find(tensor).value; }
const Array& ReferencePlan::gradient_of(const Tensor& tensor) { return find(tensor).diff; }

const Array& ReferencePlan::parameter_value(std::int64_t index) const {
  return parameters_.at(at(index)).value;
}

void ReferencePlan::accumulate_parameter(std::int64_t index, const Array& diff) {
  Array& sum = parameters_.at(at(index)).diff;
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += diff.values.at(i);
}

Array ReferencePlan::run(const Array& src, PlanValue result, Statistics statistics) {
  statistics_ = statistics;
  values_[0] = src;
  for (std::size_t i = 1; i < operations_.size(); ++i) values_[i] = operations_[i].forward();
  return value(result);
}

Array ReferencePlan::backward(const Array& diff_dst, PlanValue result) {
  for (Parameter& known : parameters_) known.diff = Array(known.value.shape);
  for (std::size_t i = 0; i < diffs_.size(); ++i) diffs_[i] = Array(values_[i].shape);
  diffs_.at(at(result)) = diff_dst;
  for (std::size_t i = operations_.size() - 1; i > 0; --i) operations_[i].backward(diffs_[i]);
  return diffs_[0];
}

PlanValue ReferencePlan::convolution(PlanValue src, const ConvolutionOp& op) {
  const Shape& in = shape(src);
  const Shape& w = op.weights.shape();
  const std::int64_t k = w[2];
  Shape one;
  if (op.transposed)
    one = {1, w[1] * op.groups, (in[2] - 1) * op.stride + k - 2 * op.padding,
           (in[3] - 1) * op.stride + k - 2 * op.padding};
  else
    one = {1, w[0], places(in[2], k, op.stride, op.padding),
           places(in[3], k, op.stride, op.padding)};
  ReferenceConvolution geometry{.src = in,
                                .dst = one,
                                .kernel = k,
                                .stride = op.stride,
                                .padding = op.padding,
                                .groups = op.groups,
                                .transposed = op.transposed};
  std::int64_t taps = 0;
  geometry.for_each_tap([&](auto, auto, auto) { ++taps; });
  macs_ += taps;
  ptflops_ += taps + (op.bias.defined() ? one.size() : 0);
  geometry.src = in.with_batch(batch());
  geometry.dst = one.with_batch(batch());
  const std::int64_t weights = take(op.weights);
  const std::int64_t bias = take(op.bias);
  return append(one, {.forward =
                          [=, this] {
                            return test::convolution(
                                geometry, value(src), parameter_value(weights),
                                bias < 0 ? std::nullopt : std::optional(parameter_value(bias)));
                          },
                      .backward =
                          [=, this](const Array& diff_dst) {
                            const auto diffs = convolution_backward(
                                geometry, value(src), parameter_value(weights), diff_dst);
                            accumulate(src, diffs.src);
                            accumulate_parameter(weights, diffs.weights);
                            if (bias >= 0) accumulate_parameter(bias, diffs.bias);
                          }});
}

PlanValue ReferencePlan::batch_norm(PlanValue src, const BatchNormOp& op) {
  ptflops_ += 2 * shape(src).size();
  const auto norm = std::make_shared<ReferenceBatchNorm>();
  const std::int64_t scale = take(op.scale);
  const std::int64_t shift = take(op.shift);
  return append(shape(src), {.forward =
                                 [=, this] {
                                   *norm = {.scale = parameter_value(scale),
                                            .shift = parameter_value(shift),
                                            .mean = to_array(op.mean),
                                            .variance = to_array(op.variance),
                                            .epsilon = static_cast<double>(op.epsilon)};
                                   if (statistics_ == Statistics::kBatch)
                                     norm->use_statistics_of(value(src));
                                   return norm->forward(value(src));
                                 },
                             .backward =
                                 [=, this](const Array& diff_dst) {
                                   const auto diffs = norm->backward(value(src), diff_dst);
                                   accumulate(src, diffs.src);
                                   accumulate_parameter(scale, diffs.scale);
                                   accumulate_parameter(shift, diffs.shift);
                                 }});
}

PlanValue ReferencePlan::activation(PlanValue src, ActivationKind kind) {
  const bool counted = kind != ActivationKind::kSigmoid && !operations_.at(at(src)).is_sum;
  if (counted) ptflops_ += shape(src).size();
  return append(shape(src), {.forward =
                                 [=, this] {
                                   Array dst = value(src);
                                   for (double& x : dst.values) x = activate(kind, x);
                                   return dst;
                                 },
                             .backward =
                                 [=, this](const Array& diff_dst) {
                                   Array diff = diff_dst;
                                   for (std::size_t i = 0; i < diff.values.size(); ++i)
                                     diff.values[i] *= activation_slope(kind, value(src).values[i]);
                                   accumulate(src, diff);
                                 }});
}

PlanValue ReferencePlan::pool(PlanValue src, const PoolOp& op) {
  const Shape& in = shape(src);
  const Shape one = op.kernel == 0
                        ? Shape{1, in[1], 1, 1}
                        : Shape{1, in[1], places(in[2], op.kernel, op.stride, op.padding),
                                places(in[3], op.kernel, op.stride, op.padding)};
  ptflops_ += in.size();
  return append(
      one, {.forward = [=, this] { return test::pool(value(src), one.with_batch(batch()), op); },
            .backward =
                [=, this](const Array& diff_dst) {
                  accumulate(src, pool_backward(value(src), diff_dst, op));
                }});
}

PlanValue ReferencePlan::subsample(PlanValue src, const SubsampleOp& op) {
  const Shape& in = shape(src);
  const Shape one{1, op.front + in[1] + op.behind, places(in[2], 1, op.stride, 0),
                  places(in[3], 1, op.stride, 0)};
  // Calls `copy(index in the source, index in the result)` for every pixel that is kept.
  const auto for_each = [=, this](const auto& copy) {
    const Shape large = shape(src);
    for (std::int64_t n = 0; n < batch(); ++n)
      for (std::int64_t c = 0; c < large[1]; ++c)
        for (std::int64_t h = 0; h < one[2]; ++h)
          for (std::int64_t w = 0; w < one[3]; ++w)
            copy(at(((n * large[1] + c) * large[2] + h * op.stride) * large[3] + w * op.stride),
                 at(((n * one[1] + op.front + c) * one[2] + h) * one[3] + w));
  };
  return append(one, {.forward =
                          [=, this] {
                            Array dst(one.with_batch(batch()));
                            for_each([&](std::size_t from, std::size_t to) {
                              dst.values[to] = value(src).values[from];
                            });
                            return dst;
                          },
                      .backward =
                          [=, this](const Array& diff_dst) {
                            for_each([&](std::size_t to, std::size_t from) {
                              diffs_[at(src)].values[to] += diff_dst.values[from];
                            });
                          }});
}

// A linear layer is a 1x1 convolution of a 1x1 image; only the shapes differ.
PlanValue ReferencePlan::linear(PlanValue src, const LinearOp& op) {
  const std::int64_t in = op.weights.dim(1);
  const std::int64_t out = op.weights.dim(0);
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t i = 0; i < in; ++i) ++macs_, ++ptflops_;
  if (op.bias.defined()) ptflops_ += out;
  const ReferenceConvolution geometry{.src = {batch(), in, 1, 1}, .dst = {batch(), out, 1, 1}};
  const std::int64_t weights = take(op.weights);
  const std::int64_t bias = take(op.bias);
  return append(
      Shape{1, out},
      {.forward =
           [=, this] {
             return test::linear(value(src), parameter_value(weights),
                                 bias < 0 ? std::nullopt : std::optional(parameter_value(bias)));
           },
       .backward =
           [=, this](const Array& diff_dst) {
             const auto diffs =
                 convolution_backward(geometry, value(src), parameter_value(weights), diff_dst);
             accumulate(src, diffs.src);
             accumulate_parameter(weights, diffs.weights);
             if (bias >= 0) accumulate_parameter(bias, diffs.bias);
           }});
}

PlanValue ReferencePlan::flatten(PlanValue src) {
  const Shape one{1, shape(src).size()};
  return append(one,
                {.forward = [=, this] { return reshaped(value(src), one.with_batch(batch())); },
                 .backward =
                     [=, this](const Array& diff_dst) {
                       accumulate(src, reshaped(diff_dst, value(src).shape));
                     }});
}

PlanValue ReferencePlan::add(PlanValue a, PlanValue b) {
  return append(shape(a), {.forward =
                               [=, this] {
                                 Array dst = value(a);
                                 for (std::size_t i = 0; i < dst.values.size(); ++i)
                                   dst.values[i] += value(b).values.at(i);
                                 return dst;
                               },
                           .backward =
                               [=, this](const Array& diff_dst) {
                                 accumulate(a, diff_dst);
                                 accumulate(b, diff_dst);
                               },
                           .is_sum = true});
}

PlanValue ReferencePlan::concat(std::span<const PlanValue> parts) {
  const std::vector<PlanValue> values(parts.begin(), parts.end());
  const Shape& first = shape(values.front());
  std::int64_t channels = 0;
  for (const PlanValue part : values) channels += shape(part)[1];
  const Shape one = first.rank() == 2 ? Shape{1, channels} : Shape{1, channels, first[2], first[3]};
  // Calls `copy(part, index in the part, index in the whole)` for every element.
  const auto for_each = [=, this](const auto& copy) {
    std::int64_t begin = 0;
    for (const PlanValue part : values) {
      const std::int64_t size = shape(part).size();
      for (std::int64_t n = 0; n < batch(); ++n)
        for (std::int64_t i = 0; i < size; ++i)
          copy(part, at(n * size + i), at(n * one.size() + begin + i));
      begin += size;
    }
  };
  return append(one, {.forward =
                          [=, this] {
                            Array dst(one.with_batch(batch()));
                            for_each([&](PlanValue part, std::size_t from, std::size_t to) {
                              dst.values[to] = value(part).values[from];
                            });
                            return dst;
                          },
                      .backward =
                          [=, this](const Array& diff_dst) {
                            for_each([&](PlanValue part, std::size_t to, std::size_t from) {
                              diffs_[at(part)].values[to] += diff_dst.values[from];
                            });
                          }});
}

PlanValue ReferencePlan::scale_channels(PlanValue src, PlanValue scale) {
  const std::int64_t pixels = shape(src)[2] * shape(src)[3];
  const auto channel_of = [pixels](std::size_t i) { return i / at(pixels); };
  return append(shape(src), {.forward =
                                 [=, this] {
                                   Array dst = value(src);
                                   for (std::size_t i = 0; i < dst.values.size(); ++i)
                                     dst.values[i] *= value(scale).values.at(channel_of(i));
                                   return dst;
                                 },
                             .backward =
                                 [=, this](const Array& diff_dst) {
                                   const Array& x = value(src);
                                   const Array& s = value(scale);
                                   for (std::size_t i = 0; i < x.values.size(); ++i) {
                                     const double diff = diff_dst.values[i];
                                     const std::size_t c = channel_of(i);
                                     diffs_[at(src)].values[i] += diff * s.values[c];
                                     diffs_[at(scale)].values[c] += diff * x.values[i];
                                   }
                                 }});
}

}  // namespace branchy::test
