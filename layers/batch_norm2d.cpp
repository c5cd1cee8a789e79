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

Variable BatchNorm2d::forward(const Variable& src, const Pass& pass) {
  const Shape shape = output_shape(src.shape());
  const bool training = pass.mode == Mode::kTrain;
  const std::int64_t count = shape[0] * shape[2] * shape[3];
  if (training && count < 2)
    throw ShapeError(fmt::format("{} {} has one value a channel, training needs two or more",
                                 place(), shape.to_string()));
  const auto statistics =
      training ? dnn::BatchNormStatistics::kBatch : dnn::BatchNormStatistics::kRunning;
  const auto primitive = primitives_.get(
      [&](const Primitive& p) { return p.statistics == statistics && p.norm.fits(src.value()); },
      [&] {
        return Primitive{statistics,
                         dnn::BatchNorm(src.value(), statistics, params_.epsilon, params_.relu)};
      });
  dnn::BatchNorm::Result result = primitive->norm.forward(
      src.value(), weight_.value(), bias_.value(), running_mean_.value(), running_var_.value());
  if (training) update_running_statistics(result.mean, result.variance, count);
  // A later training pass may move the running statistics before backward runs.
  if (!training && is_recording()) {
    result.mean = result.mean.clone();
    result.variance = result.variance.clone();
  }
  Tensor dst = result.dst;
  result.dst = Tensor();  // backward needs the input, not the output
  // Ioffe, Szegedy 2015, section 3; with the ReLU fused, d dst counts where the output passed it.
  return record(kType, std::move(dst), {src, weight_, bias_},
                [primitive, src_value = src.value(), weight = weight_.value(), bias = bias_.value(),
                 result](const Tensor& diff_dst, Wanted /*wanted*/) {
                  auto diffs = primitive->norm.backward(src_value, diff_dst, weight, bias, result);
                  return std::vector<Tensor>{std::move(diffs.src), std::move(diffs.scale),
                                             std::move(diffs.shift)};
                });
}

void BatchNorm2d::update_running_statistics(const Tensor& mean, const Tensor& variance,
                                            std::int64_t count) {
  const float unbias = static_cast<float>(count) / static_cast<float>(count - 1);
  const float keep = 1.0F - params_.momentum;
  const auto batch_mean = mean.data();
  const auto batch_variance = variance.data();
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
  cost.ptflops = (params_.relu ? 3 : 2) * elements;
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
  return params_.relu ? plan.activation(normalised, ActivationKind::kRelu) : normalised;
}

void BatchNorm2d::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  state.push_back({.name = prefix + "weight", .variable = &weight_, .decays = false});
  state.push_back({.name = prefix + "bias", .variable = &bias_, .decays = false});
  state.push_back({.name = prefix + "running_mean", .variable = &running_mean_, .is_buffer = true});
  state.push_back({.name = prefix + "running_var", .variable = &running_var_, .is_buffer = true});
}

std::vector<LayerCase> BatchNorm2d::cases() {
  const auto make = [](BatchNorm2dParams params) {
    return [params](Rng&) { return std::make_unique<BatchNorm2d>(params); };
  };
  return {
      {"plain", {4, 3, 5, 6}, make({.channels = 3})},
      {"relu", {3, 16, 4, 4}, make({.channels = 16, .relu = true})},
      {"odd_channels_relu", {2, 21, 3, 3}, make({.channels = 21, .relu = true})},
      {"1x1_image", {8, 5, 1, 1}, make({.channels = 5})},
  };
}

}  // namespace branchy
