#include "layers/conv2d.h"

#include <fmt/core.h>

#include "core/conv_geometry.h"
#include "core/error.h"
#include "layers/convolve.h"
#include "layers/initialization.h"

namespace branchy {

void Conv2dParams::validate() const {
  if (in < 1 || out < 1 || kernel < 1 || stride < 1 || padding < 0 || groups < 1)
    throw ConfigError(fmt::format(
        "[conv2d] in {} out {} kernel {} stride {} padding {} groups {}: sizes must be positive",
        in, out, kernel, stride, padding, groups));
  if (in % groups != 0 || out % groups != 0)
    throw ConfigError(fmt::format(
        "[conv2d] {} groups must divide the {} input and {} output channels", groups, in, out));
}

Conv2d::Conv2d(Conv2dParams params, Rng& rng) : params_(params) {
  params_.validate();
  const std::int64_t in = params_.in / params_.groups;
  const Shape shape{params_.out, in, params_.kernel, params_.kernel};
  weight_ = Variable(kaiming_normal(shape, in * params_.kernel * params_.kernel, rng), true);
  if (params_.bias) bias_ = Variable(Tensor::zeros(Shape{params_.out}), true);
}

Shape Conv2d::output_shape(const Shape& src) const {
  if (src.rank() != 4 || src[1] != params_.in)
    throw ShapeError(fmt::format("{} src is {}, expected [N,{},H,W]; check the preceding layer",
                                 place(), src.to_string(), params_.in));
  const auto size = [&](std::int64_t n) {
    return conv_output_size(n, params_.kernel, params_.stride, params_.padding);
  };
  const Shape dst{src[0], params_.out, size(src[2]), size(src[3])};
  if (dst[2] < 1 || dst[3] < 1)
    throw ShapeError(fmt::format("{} a {}x{} kernel does not fit into {} with padding {}", place(),
                                 params_.kernel, params_.kernel, src.to_string(), params_.padding));
  return dst;
}

Variable Conv2d::do_forward(const Variable& src, const Pass& /*pass*/) {
  static_cast<void>(output_shape(src.shape()));
  const dnn::ConvolutionSpec spec{.src = src.shape(),
                                  .out = params_.out,
                                  .kernel = params_.kernel,
                                  .stride = params_.stride,
                                  .padding = params_.padding,
                                  .groups = params_.groups,
                                  .bias = params_.bias};
  return convolve(kType, spec, src, weight_, bias_, primitives_);
}

Cost Conv2d::cost(const Shape& src) const {
  const Shape dst = output_shape(src).with_batch(1);
  const std::int64_t fan_in = params_.in / params_.groups * params_.kernel * params_.kernel;
  Cost cost;
  cost.macs = dst.size() * fan_in;
  cost.pthflops = cost.macs;
  cost.ptflops = cost.macs + (params_.bias ? dst.size() : 0);
  cost.executed = cost.ptflops;
  cost.parameters = params_.out * fan_in + (params_.bias ? params_.out : 0);
  cost.bytes_moved = 4 * (src.with_batch(1).size() + dst.size() + cost.parameters);
  return cost;
}

PlanValue Conv2d::lower(PlanBuilder& plan, PlanValue src) const {
  return plan.convolution(src, {.weights = weight_.value(),
                                .bias = params_.bias ? bias_.value() : Tensor(),
                                .stride = params_.stride,
                                .padding = params_.padding,
                                .groups = params_.groups});
}

void Conv2d::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  state.push_back({prefix + "weight", &weight_});
  if (params_.bias) state.push_back({.name = prefix + "bias", .variable = &bias_, .decays = false});
}

Channels Conv2d::take_channels(const Layer& full, const Channels& src) {
  const auto& wide = dynamic_cast<const Conv2d&>(full);
  const bool depthwise = wide.params_.groups == wide.params_.in && wide.params_.groups > 1;
  if (wide.params_.groups > 1 && !depthwise && !(src.complete() && params_.out == wide.params_.out))
    throw ConfigError(place() + " has groups of channels and cannot be pruned");
  BRANCHY_DCHECK(src.all == wide.params_.in && src.count() == params_.in);
  const Channels dst = depthwise ? src : strongest_filters(wide.weight_.value(), params_.out);
  const Channels columns = params_.groups == 1 ? src : all_channels(wide.weight_.shape()[1]);
  copy_channels(
      wide.weight_.value(), weight_.mutable_value(),
      {.rows = dst.kept, .columns = columns.kept, .inner = params_.kernel * params_.kernel});
  if (params_.bias) copy_channels(wide.bias_.value(), bias_.mutable_value(), dst);
  return dst;
}

std::vector<LayerCase> Conv2d::cases() {
  const auto make = [](Conv2dParams params) {
    return [params](Rng& rng) { return std::make_unique<Conv2d>(params, rng); };
  };
  return {
      {"3x3", {2, 3, 7, 6}, make({.in = 3, .out = 5, .kernel = 3, .padding = 1, .bias = true})},
      {"stride2",
       {2, 16, 9, 8},
       make({.in = 16, .out = 32, .kernel = 3, .stride = 2, .padding = 1})},
      {"1x1", {3, 20, 4, 4}, make({.in = 20, .out = 7})},
      {"1x1stride2", {2, 16, 8, 8}, make({.in = 16, .out = 32, .stride = 2})},
      {"depthwise",
       {2, 12, 6, 6},
       make({.in = 12, .out = 12, .kernel = 3, .padding = 1, .groups = 12})},
      {"depthwise_stride2",
       {2, 16, 7, 7},
       make({.in = 16, .out = 16, .kernel = 3, .stride = 2, .padding = 1, .groups = 16})},
      {"groups",
       {1, 8, 5, 5},
       make({.in = 8, .out = 12, .kernel = 3, .padding = 1, .groups = 4, .bias = true})},
      {"no_padding_5x5", {1, 4, 5, 5}, make({.in = 4, .out = 6, .kernel = 5})},
      {"1x1_image", {4, 8, 1, 1}, make({.in = 8, .out = 8, .kernel = 3, .padding = 1})},
  };
}

}  // namespace branchy
