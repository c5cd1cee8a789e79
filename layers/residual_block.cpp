#include "layers/residual_block.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/norm_add.h"

namespace branchy {

namespace {

std::int64_t inner_of(const ResidualBlockParams& params) {
  return params.inner == 0 ? params.out : params.inner;
}

}  // namespace

ResidualBlock::ResidualBlock(ResidualBlockParams params, Rng& rng)
    : conv1_({.in = params.in,
              .out = inner_of(params),
              .kernel = 3,
              .stride = params.stride,
              .padding = 1},
             rng),
      bn1_({.channels = inner_of(params), .activation = ActivationKind::kRelu}),
      conv2_({.in = inner_of(params), .out = params.out, .kernel = 3, .padding = 1}, rng),
      bn2_({.channels = params.out, .initial_scale = 0.0F}) {
  if (params.in == params.out && params.stride == 1) return;
  if (params.shortcut == Shortcut::kOptionA) {
    if (params.out < params.in)
      throw ConfigError(fmt::format("[residual_block] {} to {} channels; option A cannot drop any",
                                    params.in, params.out));
    const std::int64_t added = params.out - params.in;
    subsample_ = std::make_unique<Subsample>(
        SubsampleOp{.stride = params.stride, .front = added / 2, .behind = added - added / 2});
    return;
  }
  projection_ = std::make_unique<Conv2d>(
      Conv2dParams{.in = params.in, .out = params.out, .stride = params.stride}, rng);
  projection_bn_ = std::make_unique<BatchNorm2d>(BatchNorm2dParams{.channels = params.out});
}

Shape ResidualBlock::output_shape(const Shape& src) const {
  return conv2_.output_shape(conv1_.output_shape(src));
}

Variable ResidualBlock::do_forward(const Variable& src, const Pass& pass) {
  const Variable inner = bn1_.forward(conv1_.forward(src, pass), pass);
  return norm_add_relu(conv2_.forward(inner, pass), bn2_, shortcut(src, pass), pass);
}

Variable ResidualBlock::shortcut(const Variable& src, const Pass& pass) {
  if (subsample_) return subsample_->forward(src, pass);
  if (projection_) return projection_bn_->forward(projection_->forward(src, pass), pass);
  return src;
}

Cost ResidualBlock::cost(const Shape& src) const {
  std::vector<CostRow> rows;
  profile("", src, rows);
  return total_cost(rows);
}

PlanValue ResidualBlock::lower(PlanBuilder& plan, PlanValue src) const {
  const PlanValue inner = bn1_.lower(plan, conv1_.lower(plan, src));
  PlanValue shortcut = src;
  if (projection_) shortcut = projection_bn_->lower(plan, projection_->lower(plan, src));
  if (subsample_) shortcut = subsample_->lower(plan, src);
  const PlanValue residual = bn2_.lower(plan, conv2_.lower(plan, inner));
  return plan.activation(plan.add(residual, shortcut), ActivationKind::kRelu);
}

void ResidualBlock::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  conv1_.collect_state(prefix + "conv1.", state);
  bn1_.collect_state(prefix + "bn1.", state);
  conv2_.collect_state(prefix + "conv2.", state);
  bn2_.collect_state(prefix + "bn2.", state);
  if (!projection_) return;
  projection_->collect_state(prefix + "shortcut.0.", state);
  projection_bn_->collect_state(prefix + "shortcut.1.", state);
}

Channels ResidualBlock::take_channels(const Layer& full, const Channels& src) {
  const auto& wide = dynamic_cast<const ResidualBlock&>(full);
  BRANCHY_DCHECK(src.complete());  // it is added to the result
  const Channels inner = bn1_.take_channels(wide.bn1_, conv1_.take_channels(wide.conv1_, src));
  const Channels dst = bn2_.take_channels(wide.bn2_, conv2_.take_channels(wide.conv2_, inner));
  BRANCHY_DCHECK(dst.complete());
  if (projection_)
    static_cast<void>(projection_bn_->take_channels(
        *wide.projection_bn_, projection_->take_channels(*wide.projection_, src)));
  return dst;
}

void ResidualBlock::profile(const std::string& name, const Shape& src,
                            std::vector<CostRow>& rows) const {
  const Shape inner = conv1_.output_shape(src);
  conv1_.profile(name + ".conv1", src, rows);
  bn1_.profile(name + ".bn1", inner, rows);
  conv2_.profile(name + ".conv2", inner, rows);
  const Shape dst = conv2_.output_shape(inner).with_batch(1);
  bn2_.profile(name + ".bn2", dst, rows);
  if (projection_) {
    projection_->profile(name + ".shortcut.0", src, rows);
    projection_bn_->profile(name + ".shortcut.1", dst, rows);
  }
  if (subsample_) subsample_->profile(name + ".shortcut", src, rows);
  // The sum counts 2 per element for Pacheco et al.; Dong et al. count neither it nor its ReLU.
  Cost sum;
  sum.pthflops = 2 * dst.size();
  sum.executed = 2 * dst.size();
  sum.bytes_moved = 12 * dst.size();
  rows.push_back({name + ".add", "add+relu", dst, dst, sum});
}

void ResidualBlock::set_name(const std::string& name) {
  Layer::set_name(name);
  conv1_.set_name(name + ".conv1");
  bn1_.set_name(name + ".bn1");
  conv2_.set_name(name + ".conv2");
  bn2_.set_name(name + ".bn2");
  if (subsample_) subsample_->set_name(name + ".shortcut");
  if (!projection_) return;
  projection_->set_name(name + ".shortcut.0");
  projection_bn_->set_name(name + ".shortcut.1");
}

std::vector<LayerCase> ResidualBlock::cases() {
  const auto make = [](ResidualBlockParams params) {
    return [params](Rng& rng) { return std::make_unique<ResidualBlock>(params, rng); };
  };
  return {{"identity", {2, 16, 6, 6}, make({.in = 16, .out = 16})},
          {"projection", {2, 8, 7, 7}, make({.in = 8, .out = 16, .stride = 2})},
          {"option_a",
           {2, 8, 7, 7},
           make({.in = 8, .out = 16, .stride = 2, .shortcut = Shortcut::kOptionA})},
          {"pruned", {2, 8, 7, 7}, make({.in = 8, .out = 12, .stride = 2, .inner = 5})}};
}

}  // namespace branchy
