#include "layers/linear.h"

#include <fmt/core.h>

#include "core/dnn/matmul.h"
#include "core/error.h"
#include "core/step_profile.h"
#include "layers/initialization.h"

namespace branchy {

namespace {

using dnn::Transpose;

void add_bias(Tensor& dst, const Tensor& bias) {
  const TimedWork work(StepWork::kLinear);
  const auto values = dst.mutable_data();
  const auto shift = bias.data();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += shift[i % shift.size()];
}

Tensor column_sums(const Tensor& matrix) {
  const TimedWork work(StepWork::kLinear);
  Tensor sums = Tensor::zeros(Shape{matrix.dim(1)});
  const auto from = matrix.data();
  const auto to = sums.mutable_data();
  for (std::size_t i = 0; i < from.size(); ++i) to[i % to.size()] += from[i];
  return sums;
}

}  // namespace

void LinearParams::validate() const {
  if (in < 1 || out < 1)
    throw ConfigError(fmt::format("[linear] in {} out {}: both must be 1 or more", in, out));
}

Linear::Linear(LinearParams params, Rng& rng) : params_(params) {
  params_.validate();
  weight_ = Variable(lecun_uniform(Shape{params_.out, params_.in}, params_.in, rng), true);
  if (params_.bias) bias_ = Variable(Tensor::zeros(Shape{params_.out}), true);
}

Shape Linear::output_shape(const Shape& src) const {
  if (src.rank() != 2 || src[1] != params_.in)
    throw ShapeError(fmt::format("{} src is {}, expected [N,{}]; check the preceding layer",
                                 place(), src.to_string(), params_.in));
  return {src[0], params_.out};
}

Variable Linear::do_forward(const Variable& src, const Pass& /*pass*/) {
  static_cast<void>(output_shape(src.shape()));
  Tensor dst = dnn::matmul(src.value(), Transpose::kNo, weight_.value(), Transpose::kYes);
  if (params_.bias) add_bias(dst, bias_.value());
  std::vector<Variable> inputs{src, weight_};
  if (params_.bias) inputs.push_back(bias_);
  // y = x W^T + b: dx = dy W, dW = dy^T x, db = column sums of dy.
  return record(kType, std::move(dst), inputs,
                [src_value = src.value(), weight = weight_.value(), bias = params_.bias](
                    const Tensor& diff_dst, Wanted wanted) {
                  std::vector<Tensor> diffs(bias ? 3 : 2);
                  if (wanted[0])
                    diffs[0] = dnn::matmul(diff_dst, Transpose::kNo, weight, Transpose::kNo);
                  if (wanted[1])
                    diffs[1] = dnn::matmul(diff_dst, Transpose::kYes, src_value, Transpose::kNo);
                  if (bias && wanted[2]) diffs[2] = column_sums(diff_dst);
                  return diffs;
                });
}

Cost Linear::cost(const Shape& src) const {
  static_cast<void>(output_shape(src));
  Cost cost;
  cost.macs = params_.in * params_.out;
  cost.ptflops = cost.macs + (params_.bias ? params_.out : 0);
  cost.pthflops = cost.ptflops;
  cost.executed = cost.ptflops;
  cost.parameters = cost.ptflops;  // one per multiplication and one per bias
  cost.bytes_moved = 4 * (params_.in + params_.out + cost.parameters);
  return cost;
}

PlanValue Linear::lower(PlanBuilder& plan, PlanValue src) const {
  return plan.linear(src,
                     {.weights = weight_.value(), .bias = params_.bias ? bias_.value() : Tensor()});
}

void Linear::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  state.push_back({prefix + "weight", &weight_});
  if (params_.bias) state.push_back({.name = prefix + "bias", .variable = &bias_, .decays = false});
}

Channels Linear::take_channels(const Layer& full, const Channels& src) {
  const auto& wide = dynamic_cast<const Linear&>(full);
  // Each channel of a flattened feature is a run of columns, one for each of its pixels.
  BRANCHY_DCHECK(wide.params_.in % src.all == 0 && wide.params_.out == params_.out);
  const Channels dst = all_channels(params_.out);
  copy_channels(wide.weight_.value(), weight_.mutable_value(),
                {.rows = dst.kept, .columns = src.kept, .inner = wide.params_.in / src.all});
  if (params_.bias) copy_channels(wide.bias_.value(), bias_.mutable_value(), dst);
  return dst;
}

std::vector<LayerCase> Linear::cases() {
  const auto make = [](LinearParams params) {
    return [params](Rng& rng) { return std::make_unique<Linear>(params, rng); };
  };
  return {{"bias", {4, 12}, make({.in = 12, .out = 5})},
          {"no_bias", {1, 7}, make({.in = 7, .out = 3, .bias = false})},
          {"wide", {3, 64}, make({.in = 64, .out = 33})}};
}

}  // namespace branchy
