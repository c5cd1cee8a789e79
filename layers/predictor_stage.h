// One stage of the Exit Predictor (Dong, Mao, Zhang 2022, section IV-B).
#pragma once

#include <memory>

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/layer.h"
#include "layers/pool2d.h"
#include "layers/squeeze_excite.h"

namespace branchy {

struct PredictorStageParams {
  std::int64_t in = 0, out = 0;
  bool concat_and_excite = true;  ///< false: depth-wise straight into point-wise
};

/// 3x3 depth-wise with stride 2, BN, ReLU; its output behind the 2x2 max pooled input, together
/// through squeeze and excitation (reduction 16); 1x1 point-wise, BN, ReLU.
/// src [N,in,H,W], H and W even -> [N,out,H/2,W/2]. State: `depthwise`, `bn1`, `excite`,
/// `pointwise`, `bn2`.
class PredictorStage final : public Layer {
 public:
  static constexpr std::string_view kType = "predictor_stage";
  PredictorStage(PredictorStageParams params, Rng& rng);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  void profile(const std::string& name, const Shape& src,
               std::vector<CostRow>& rows) const override;
  void set_name(const std::string& name) override;
  static std::vector<LayerCase> cases();

 private:
  [[nodiscard]] Shape excited_shape(const Shape& src) const;  // input of the point-wise layer

  Conv2d depthwise_;
  BatchNorm2d bn1_;
  Pool2d pool_;
  std::unique_ptr<SqueezeExcite> excite_;  // null without concat_and_excite
  Conv2d pointwise_;
  BatchNorm2d bn2_;
};

}  // namespace branchy
