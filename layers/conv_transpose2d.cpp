#include "layers/conv_transpose2d.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/conv_geometry.h"
#include "core/error.h"
#include "layers/convolve.h"
#include "layers/initialization.h"

namespace branchy {

void ConvTranspose2dParams::validate() const {
  if (in < 1 || out < 1 || kernel < 1 || stride < 1 || padding < 0 || padding >= kernel)
    throw ConfigError(
        fmt::format("[conv_transpose2d] in {} out {} kernel {} stride {} padding {}: sizes must be "
                    "positive and the padding smaller than the kernel",
                    in, out, kernel, stride, padding));
}

ConvTranspose2d::ConvTranspose2d(ConvTranspose2dParams params, Rng& rng) : params_(params) {
  params_.validate();
  const std::int64_t window = params_.kernel * params_.kernel;
  const std::int64_t terms = params_.in * window / (params_.stride * params_.stride);
  const Shape shape{params_.in, params_.out, params_.kernel, params_.kernel};
  weight_ = Variable(kaiming_normal(shape, std::max<std::int64_t>(terms, 1), rng), true);
  if (params_.bias) bias_ = Variable(Tensor::zeros(Shape{params_.out}), true);
}

Shape ConvTranspose2d::output_shape(const Shape& src) const {
  if (src.rank() != 4 || src[1] != params_.in)
    throw ShapeError(fmt::format("{} src is {}, expected [N,{},H,W]; check the preceding layer",
                                 place(), src.to_string(), params_.in));
  const auto size = [&](std::int64_t n) {
    return conv_transpose_output_size(n, params_.kernel, params_.stride, params_.padding);
  };
  if (size(src[2]) < 1 || size(src[3]) < 1)
    throw ShapeError(fmt::format("{} padding {} leaves nothing of {}", place(), params_.padding,
                                 src.to_string()));
  return {src[0], params_.out, size(src[2]), size(src[3])};
}

Variable ConvTranspose2d::do_forward(const Variable& src, const Pass& /*pass*/) {
  static_cast<void>(output_shape(src.shape()));
  const dnn::ConvolutionSpec spec{.src = src.shape(),
                                  .out = params_.out,
                                  .kernel = params_.kernel,
                                  .stride = params_.stride,
                                  .padding = params_.padding,
                                  .bias = params_.bias,
                                  .transposed = true};
  return convolve(kType, spec, src, weight_, bias_, primitives_);
}

// Every source value is multiplied with the whole window, also where padding crops the result.
Cost ConvTranspose2d::cost(const Shape& src) const {
  const Shape dst = output_shape(src).with_batch(1);
  const std::int64_t window = params_.kernel * params_.kernel;
  const std::int64_t elements = src.with_batch(1).size();
  Cost cost;
  cost.macs = elements * params_.out * window;
  cost.pthflops = cost.macs;
  cost.ptflops = cost.macs + (params_.bias ? dst.size() : 0);
  cost.executed = cost.ptflops;
  cost.parameters = params_.in * params_.out * window + (params_.bias ? params_.out : 0);
  cost.bytes_moved = 4 * (elements + dst.size() + cost.parameters);
  return cost;
}

PlanValue ConvTranspose2d::lower(PlanBuilder& plan, PlanValue src) const {
  return plan.convolution(src, {.weights = weight_.value(),
                                .bias = params_.bias ? bias_.value() : Tensor(),
                                .stride = params_.stride,
                                .padding = params_.padding,
                                .transposed = true});
}

void ConvTranspose2d::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  state.push_back({prefix + "weight", &weight_});
  if (params_.bias) state.push_back({.name = prefix + "bias", .variable = &bias_, .decays = false});
}

std::vector<LayerCase> ConvTranspose2d::cases() {
  const auto make = [](ConvTranspose2dParams params) {
    return [params](Rng& rng) { return std::make_unique<ConvTranspose2d>(params, rng); };
  };
  return {
      {"kernel2", {2, 16, 4, 3}, make({.in = 16, .out = 24})},
      {"kernel2_bias", {2, 5, 4, 4}, make({.in = 5, .out = 7, .bias = true})},
      {"kernel3_padded",
       {2, 6, 5, 4},
       make({.in = 6, .out = 4, .kernel = 3, .stride = 2, .padding = 1, .bias = true})},
      {"stride1", {1, 8, 4, 4}, make({.in = 8, .out = 8, .kernel = 3, .stride = 1, .padding = 1})},
      {"1x1_image", {3, 4, 1, 1}, make({.in = 4, .out = 3})},
  };
}

}  // namespace branchy
