#include "layers/inverted_residual.h"

#include <fmt/core.h>

#include <memory>
#include <optional>
#include <utility>

#include "core/error.h"
#include "layers/add.h"
#include "layers/norm_depthwise.h"

namespace branchy {

void InvertedResidualParams::validate() const {
  if (in < 1 || out < 1 || stride < 1 || expansion < 1)
    throw ConfigError(
        fmt::format("[inverted_residual] in {} out {} stride {} expansion {}: expected 1 or more",
                    in, out, stride, expansion));
  if (hidden < 0 || (expansion == 1 && hidden != 0 && hidden != in))
    throw ConfigError(fmt::format(
        "[inverted_residual] {} hidden channels of {} times {}; without expansion it has its input",
        hidden, in, expansion));
}

InvertedResidual::ConvNorm InvertedResidual::add_conv_norm(const std::string& conv_name,
                                                           const std::string& norm_name,
                                                           Conv2dParams conv,
                                                           std::optional<ActivationKind> activation,
                                                           Rng& rng) {
  auto conv_layer = std::make_unique<Conv2d>(conv, rng);
  auto norm_layer = std::make_unique<BatchNorm2d>(
      BatchNorm2dParams{.channels = conv.out, .activation = activation});
  const ConvNorm added{conv_layer.get(), norm_layer.get()};
  body_.add(conv_name, std::move(conv_layer)).add(norm_name, std::move(norm_layer));
  return added;
}

InvertedResidual::InvertedResidual(InvertedResidualParams params, Rng& rng)
    : adds_input_(params.in == params.out && params.stride == 1) {
  params.validate();
  const std::int64_t hidden = params.hidden == 0 ? params.in * params.expansion : params.hidden;
  int step = 0;
  if (params.expansion != 1) {
    expansion_ =
        add_conv_norm("0.0", "0.1", {.in = params.in, .out = hidden}, ActivationKind::kRelu6, rng);
    ++step;
  }
  depthwise_ = add_conv_norm(fmt::format("{}.0", step), fmt::format("{}.1", step),
                             {.in = hidden,
                              .out = hidden,
                              .kernel = 3,
                              .stride = params.stride,
                              .padding = 1,
                              .groups = hidden},
                             ActivationKind::kRelu6, rng);
  projection_ = add_conv_norm(std::to_string(step + 1), std::to_string(step + 2),
                              {.in = hidden, .out = params.out}, std::nullopt, rng);
}

Shape InvertedResidual::output_shape(const Shape& src) const { return body_.output_shape(src); }

Variable InvertedResidual::do_forward(const Variable& src, const Pass& pass) {
  const Variable residual = forward_body(src, pass);
  return adds_input_ ? add(residual, src) : residual;
}

Variable InvertedResidual::forward_body(const Variable& src, const Pass& pass) {
  if (expansion_.conv == nullptr || !is_depthwise_3x3(depthwise_.conv->params()))
    return body_.forward(src, pass);
  if (pass.mode == Mode::kTrain) return train_body(src);
  const Variable expanded = expansion_.conv->forward(src, pass);
  constexpr std::size_t kFused = 3;  // expansion, its batch norm, depth-wise convolution
  return body_.forward_from(kFused, norm_depthwise(expanded, *expansion_.norm, *depthwise_.conv),
                            pass);
}

Variable InvertedResidual::train_body(const Variable& src) {
  const Shape dst = output_shape(src.shape());
  const Shape hidden = expansion_.conv->output_shape(src.shape());
  const kernels::BottleneckShape shape{.src = src.shape(),
                                       .hidden = hidden[1],
                                       .out = dst[1],
                                       .stride = depthwise_.conv->params().stride};
  const auto bottleneck =
      primitives_.get([&](const kernels::Bottleneck& b) { return b.shape() == shape; },
                      [&] { return kernels::Bottleneck(shape); });
  const kernels::BottleneckParams params{
      .expansion = expansion_.conv->weight().value(),
      .expansion_norm = expansion_.norm->kernel_params(),
      .depthwise = {depthwise_.conv->weight().value(), depthwise_.conv->params().stride},
      .depthwise_norm = depthwise_.norm->kernel_params(),
      .projection = projection_.conv->weight().value(),
      .projection_norm = projection_.norm->kernel_params()};
  kernels::Bottleneck::Result result = bottleneck->forward(src.value(), params);
  expansion_.norm->update_running_statistics(result.saved.expansion, hidden);
  depthwise_.norm->update_running_statistics(result.saved.depthwise, dst);
  projection_.norm->update_running_statistics(result.saved.projection, dst);
  std::vector<Variable> inputs{src};
  for (const ConvNorm& part : {expansion_, depthwise_, projection_})
    inputs.insert(inputs.end(), {part.conv->weight(), part.norm->weight(), part.norm->bias()});
  return record(
      kType, std::move(result.dst), inputs,
      [bottleneck, params, saved = std::move(result.saved)](const Tensor& diff_dst, Wanted wanted) {
        kernels::BottleneckGradients d = bottleneck->backward(diff_dst, saved, params, wanted[0]);
        return std::vector<Tensor>{std::move(d.src),  std::move(d.expansion),  d.expansion_scale,
                                   d.expansion_shift, std::move(d.depthwise),  d.depthwise_scale,
                                   d.depthwise_shift, std::move(d.projection), d.projection_scale,
                                   d.projection_shift};
      });
}

Cost InvertedResidual::cost(const Shape& src) const {
  std::vector<CostRow> rows;
  profile("", src, rows);
  return total_cost(rows);
}

PlanValue InvertedResidual::lower(PlanBuilder& plan, PlanValue src) const {
  const PlanValue residual = body_.lower(plan, src);
  return adds_input_ ? plan.add(residual, src) : residual;
}

void InvertedResidual::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  body_.collect_state(prefix + "conv.", state);
}

Channels InvertedResidual::take_channels(const Layer& full, const Channels& src) {
  const auto& wide = dynamic_cast<const InvertedResidual&>(full);
  BRANCHY_DCHECK(src.complete() || !adds_input_);
  Channels dst = body_.take_channels(wide.body_, src);
  BRANCHY_DCHECK(dst.complete());
  return dst;
}

void InvertedResidual::profile(const std::string& name, const Shape& src,
                               std::vector<CostRow>& rows) const {
  body_.profile(name + ".conv", src, rows);
  if (!adds_input_) return;
  // The sum counts 2 per element for Pacheco et al.; Dong et al. do not count it.
  const Shape dst = src.with_batch(1);
  Cost sum;
  sum.pthflops = 2 * dst.size();
  sum.executed = dst.size();
  sum.bytes_moved = 12 * dst.size();
  rows.push_back({name + ".add", "add", dst, dst, sum});
}

void InvertedResidual::set_name(const std::string& name) {
  Layer::set_name(name);
  body_.set_name(name + ".conv");
}

std::vector<LayerCase> InvertedResidual::cases() {
  const auto make = [](InvertedResidualParams params) {
    return [params](Rng& rng) { return std::make_unique<InvertedResidual>(params, rng); };
  };
  return {{"adds_its_input", {2, 8, 5, 6}, make({.in = 8, .out = 8, .expansion = 2})},
          {"stride2", {2, 4, 7, 7}, make({.in = 4, .out = 6, .stride = 2})},
          {"stride2_even", {3, 5, 8, 6}, make({.in = 5, .out = 7, .stride = 2, .expansion = 4})},
          {"one_pixel", {5, 8, 1, 1}, make({.in = 8, .out = 8, .expansion = 2})},
          {"stride3", {2, 4, 7, 7}, make({.in = 4, .out = 6, .stride = 3, .expansion = 2})},
          {"pruned", {2, 8, 5, 6}, make({.in = 8, .out = 8, .expansion = 2, .hidden = 13})},
          {"no_expansion", {3, 16, 4, 4}, make({.in = 16, .out = 8, .expansion = 1})}};
}

}  // namespace branchy
