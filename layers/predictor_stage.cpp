#include "layers/predictor_stage.h"

#include <fmt/core.h>

#include <array>

#include "core/error.h"
#include "layers/concat.h"

namespace branchy {

PredictorStage::PredictorStage(PredictorStageParams params, Rng& rng)
    : depthwise_({.in = params.in,
                  .out = params.in,
                  .kernel = 3,
                  .stride = 2,
                  .padding = 1,
                  .groups = params.in},
                 rng),
      bn1_({.channels = params.in, .activation = ActivationKind::kRelu}),
      pool_({.kind = PoolKind::kMax}),
      excite_(params.concat_and_excite ? std::make_unique<SqueezeExcite>(
                                             SqueezeExciteParams{.channels = 2 * params.in}, rng)
                                       : nullptr),
      pointwise_({.in = params.concat_and_excite ? 2 * params.in : params.in, .out = params.out},
                 rng),
      bn2_({.channels = params.out, .activation = ActivationKind::kRelu}) {}

Shape PredictorStage::excited_shape(const Shape& src) const {
  const Shape inner = depthwise_.output_shape(src);
  if (excite_ && (src[2] % 2 != 0 || src[3] % 2 != 0))
    throw ShapeError(fmt::format("{} src is {}, expected even height and width; resize the images",
                                 place(), src.to_string()));
  return Shape{inner[0], (excite_ ? 2 : 1) * inner[1], inner[2], inner[3]};
}

Shape PredictorStage::output_shape(const Shape& src) const {
  return pointwise_.output_shape(excited_shape(src));
}

Variable PredictorStage::do_forward(const Variable& src, const Pass& pass) {
  static_cast<void>(excited_shape(src.shape()));
  Variable inner = bn1_.forward(depthwise_.forward(src, pass), pass);
  if (excite_) {
    const std::array<Variable, 2> parts{pool_.forward(src, pass), inner};
    inner = excite_->forward(concat(parts), pass);
  }
  return bn2_.forward(pointwise_.forward(inner, pass), pass);
}

Cost PredictorStage::cost(const Shape& src) const {
  std::vector<CostRow> rows;
  profile("", src, rows);
  return total_cost(rows);
}

PlanValue PredictorStage::lower(PlanBuilder& plan, PlanValue src) const {
  PlanValue inner = bn1_.lower(plan, depthwise_.lower(plan, src));
  if (excite_) {
    const std::array<PlanValue, 2> parts{pool_.lower(plan, src), inner};
    inner = excite_->lower(plan, plan.concat(parts));
  }
  return bn2_.lower(plan, pointwise_.lower(plan, inner));
}

void PredictorStage::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  depthwise_.collect_state(prefix + "depthwise.", state);
  bn1_.collect_state(prefix + "bn1.", state);
  if (excite_) excite_->collect_state(prefix + "excite.", state);
  pointwise_.collect_state(prefix + "pointwise.", state);
  bn2_.collect_state(prefix + "bn2.", state);
}

void PredictorStage::profile(const std::string& name, const Shape& src,
                             std::vector<CostRow>& rows) const {
  depthwise_.profile(name + ".depthwise", src, rows);
  bn1_.profile(name + ".bn1", depthwise_.output_shape(src), rows);
  const Shape excited = excited_shape(src);
  if (excite_) {
    pool_.profile(name + ".pool", src, rows);
    excite_->profile(name + ".excite", excited, rows);
  }
  pointwise_.profile(name + ".pointwise", excited, rows);
  bn2_.profile(name + ".bn2", pointwise_.output_shape(excited), rows);
}

void PredictorStage::set_name(const std::string& name) {
  Layer::set_name(name);
  depthwise_.set_name(name + ".depthwise");
  bn1_.set_name(name + ".bn1");
  pool_.set_name(name + ".pool");
  if (excite_) excite_->set_name(name + ".excite");
  pointwise_.set_name(name + ".pointwise");
  bn2_.set_name(name + ".bn2");
}

std::vector<LayerCase> PredictorStage::cases() {
  const auto make = [](PredictorStageParams params) {
    return [params](Rng& rng) { return std::make_unique<PredictorStage>(params, rng); };
  };
  return {{"ours", {2, 8, 6, 8}, make({.in = 8, .out = 12})},
          {"plain", {3, 6, 8, 8}, make({.in = 6, .out = 10, .concat_and_excite = false})}};
}

}  // namespace branchy
