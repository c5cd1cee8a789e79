#include "layers/batch_norm2d.h"

#include <fmt/core.h>

#include "core/error.h"

namespace branchy {

void BatchNorm2dParams::validate() const {
  if (channels < 1 || !(epsilon > 0.0F) || !(momentum >= 0.0F && momentum <= 1.0F))
    throw ConfigError(fmt::format(
        "[batch_norm2d] channels {} epsilon {} momentum {}: expected channels >= 1, epsilon > 0, "
        "momentum in 0..1",
        channels, epsilon, momentum));
  if (activation == ActivationKind::kSigmoid)
    throw ConfigError("[batch_norm2d] a sigmoid cannot be fused; add a layer of its own");
}

std::string_view BatchNorm2d::type() const {
  if (!params_.activation) return kType;
  return params_.activation == ActivationKind::kRelu ? "batch_norm2d+relu" : "batch_norm2d+relu6";
}

BatchNorm2d::BatchNorm2d(BatchNorm2dParams params) : params_(params) {
  params_.validate();
  const Shape shape{params_.channels};
  weight_ = Variable(Tensor::full(shape, params_.initial_scale), true);
  bias_ = Variable(Tensor::zeros(shape), true);
  running_mean_ = Variable(Tensor::zeros(shape));
  running_var_ = Variable(Tensor::full(shape, 1.0F));
}

Shape BatchNorm2d::output_shape(const Shape& src) const {
  if (src.rank() != 4 || src[1] != params_.channels)
    throw ShapeError(fmt::format("{} src is {}, expected [N,{},H,W]; check the preceding layer",
                                 place(), src.to_string(), params_.channels));
  return src;
}

kernels::BatchNormParams BatchNorm2d::kernel_params() const {
  return {.scale = weight_.value(),
          .shift = bias_.value(),
          .epsilon = params_.epsilon,
          .activation = params_.activation};
}

kernels::BatchNormStatistics BatchNorm2d::running_statistics() const {
  if (!is_recording()) return {running_mean_.value(), running_var_.value()};
  return {running_mean_.value().clone(), running_var_.value().clone()};
}

Variable BatchNorm2d::do_forward(const Variable& src, const Pass& pass) {
  static_cast<void>(output_shape(src.shape()));
  const kernels::BatchNormParams params = kernel_params();
  Tensor dst;
  kernels::BatchNormStatistics statistics;
  if (pass.mode == Mode::kTrain) {
    kernels::BatchNormResult result = kernels::batch_norm(src.value(), params);
    dst = std::move(result.dst);
    statistics = std::move(result.statistics);
    update_running_statistics(statistics, src.shape());
  } else {
    statistics = running_statistics();
    dst = kernels::batch_norm_with(src.value(), params, statistics);
  }
  const auto of =
      pass.mode == Mode::kTrain ? kernels::StatisticsOf::kSource : kernels::StatisticsOf::kConstant;
  // Ioffe, Szegedy 2015, section 3; d dst counts where the output passed the activation.
  return record(kType, std::move(dst), {src, weight_, bias_},
                [src_value = src.value(), params, statistics, of](Tensor diff_dst, Wanted) {
                  auto diffs = kernels::batch_norm_backward(std::move(diff_dst), src_value, params,
                                                            statistics, of);
                  return std::vector<Tensor>{std::move(diffs.src), std::move(diffs.scale),
                                             std::move(diffs.shift)};
                });
}

void BatchNorm2d::update_running_statistics(const kernels::BatchNormStatistics& batch,
                                            const Shape& src) {
  const std::int64_t count = src[0] * src[2] * src[3];
  if (count < 2)
    throw ShapeError(fmt::format("{} {} has one value a channel, training needs two or more",
                                 place(), src.to_string()));
  const float unbias = static_cast<float>(count) / static_cast<float>(count - 1);
  const float keep = 1.0F - params_.momentum;
  const auto batch_mean = batch.mean.data();
  const auto batch_variance = batch.variance.data();
  const auto running_mean = running_mean_.mutable_value().mutable_data();
  const auto running_var = running_var_.mutable_value().mutable_data();
  for (std::size_t c = 0; c < running_mean.size(); ++c) {
    running_mean[c] = keep * running_mean[c] + params_.momentum * batch_mean[c];
    running_var[c] = keep * running_var[c] + params_.momentum * unbias * batch_variance[c];
  }
}

Cost BatchNorm2d::cost(const Shape& src) const {
  const std::int64_t elements = output_shape(src).with_batch(1).size();
  Cost cost;
  cost.ptflops = (params_.activation ? 3 : 2) * elements;
  cost.pthflops = 2 * elements;
  cost.executed = cost.ptflops;
  cost.parameters = 2 * params_.channels;
  cost.bytes_moved = 4 * (2 * elements + cost.parameters);
  return cost;
}

PlanValue BatchNorm2d::lower(PlanBuilder& plan, PlanValue src) const {
  const PlanValue normalised = plan.batch_norm(src, {.scale = weight_.value(),
                                                     .shift = bias_.value(),
                                                     .mean = running_mean_.value(),
                                                     .variance = running_var_.value(),
                                                     .epsilon = params_.epsilon});
  return params_.activation ? plan.activation(normalised, *params_.activation) : normalised;
}

void BatchNorm2d::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  state.push_back({.name = prefix + "weight", .variable = &weight_, .decays = false});
  state.push_back({.name = prefix + "bias", .variable = &bias_, .decays = false});
  state.push_back({.name = prefix + "running_mean", .variable = &running_mean_, .is_buffer = true});
  state.push_back({.name = prefix + "running_var", .variable = &running_var_, .is_buffer = true});
}

Channels BatchNorm2d::take_channels(const Layer& full, const Channels& src) {
  const auto& wide = dynamic_cast<const BatchNorm2d&>(full);
  copy_channels(wide.weight_.value(), weight_.mutable_value(), src);
  copy_channels(wide.bias_.value(), bias_.mutable_value(), src);
  copy_channels(wide.running_mean_.value(), running_mean_.mutable_value(), src);
  copy_channels(wide.running_var_.value(), running_var_.mutable_value(), src);
  return src;
}

std::vector<LayerCase> BatchNorm2d::cases() {
  const auto make = [](BatchNorm2dParams params) {
    return [params](Rng&) { return std::make_unique<BatchNorm2d>(params); };
  };
  return {
      {"plain", {4, 3, 5, 6}, make({.channels = 3})},
      {"relu", {3, 16, 4, 4}, make({.channels = 16, .activation = ActivationKind::kRelu})},
      {"odd_channels_relu",
       {2, 21, 3, 3},
       make({.channels = 21, .activation = ActivationKind::kRelu})},
      {"relu6", {2, 37, 12, 12}, make({.channels = 37, .activation = ActivationKind::kRelu6})},
      {"1x1_image", {8, 5, 1, 1}, make({.channels = 5})},
  };
}

}  // namespace branchy
