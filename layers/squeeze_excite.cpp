#include "layers/squeeze_excite.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "layers/scale_channels.h"

namespace branchy {

namespace {

std::int64_t hidden_units(const SqueezeExciteParams& params) {
  params.validate();
  return std::max<std::int64_t>(1, params.channels / params.reduction);
}

}  // namespace

void SqueezeExciteParams::validate() const {
  if (channels < 1 || reduction < 1)
    throw ConfigError(fmt::format("[squeeze_excite] channels {} reduction {}: expected 1 or more",
                                  channels, reduction));
}

SqueezeExcite::SqueezeExcite(SqueezeExciteParams params, Rng& rng)
    : params_(params),
      pool_({.kind = PoolKind::kAverage, .kernel = 0}),
      fc1_({.in = params.channels, .out = hidden_units(params)}, rng),
      relu_(ActivationKind::kRelu),
      fc2_({.in = hidden_units(params), .out = params.channels}, rng),
      sigmoid_(ActivationKind::kSigmoid) {}

Shape SqueezeExcite::output_shape(const Shape& src) const {
  if (src.rank() != 4 || src[1] != params_.channels)
    throw ShapeError(fmt::format("{} src is {}, expected [N,{},H,W]; check the preceding layer",
                                 place(), src.to_string(), params_.channels));
  return src;
}

Variable SqueezeExcite::do_forward(const Variable& src, const Pass& pass) {
  static_cast<void>(output_shape(src.shape()));
  const Variable squeezed = flatten_.forward(pool_.forward(src, pass), pass);
  const Variable hidden = relu_.forward(fc1_.forward(squeezed, pass), pass);
  return scale_channels(src, sigmoid_.forward(fc2_.forward(hidden, pass), pass));
}

Cost SqueezeExcite::cost(const Shape& src) const {
  Cost total;
  Shape shape = output_shape(src);
  for (const Layer* layer :
       std::array<const Layer*, 6>{&pool_, &flatten_, &fc1_, &relu_, &fc2_, &sigmoid_}) {
    total += layer->cost(shape);
    shape = layer->output_shape(shape);
  }
  // Scaling is executed but not counted by Dong et al.
  const std::int64_t elements = src.with_batch(1).size();
  total.executed += elements;
  total.bytes_moved += 4 * (2 * elements + params_.channels);
  return total;
}

PlanValue SqueezeExcite::lower(PlanBuilder& plan, PlanValue src) const {
  PlanValue scale = src;
  for (const Layer* layer :
       std::array<const Layer*, 6>{&pool_, &flatten_, &fc1_, &relu_, &fc2_, &sigmoid_})
    scale = layer->lower(plan, scale);
  return plan.scale_channels(src, scale);
}

void SqueezeExcite::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  fc1_.collect_state(prefix + "fc1.", state);
  fc2_.collect_state(prefix + "fc2.", state);
}

void SqueezeExcite::set_name(const std::string& name) {
  Layer::set_name(name);
  fc1_.set_name(name + ".fc1");
  fc2_.set_name(name + ".fc2");
}

std::vector<LayerCase> SqueezeExcite::cases() {
  const auto make = [](SqueezeExciteParams params) {
    return [params](Rng& rng) { return std::make_unique<SqueezeExcite>(params, rng); };
  };
  return {{"reduction16", {2, 32, 4, 4}, make({.channels = 32})},
          {"reduction2", {3, 6, 5, 3}, make({.channels = 6, .reduction = 2})}};
}

}  // namespace branchy
