// Every stride-th pixel, with zero channels around: the shortcut of residual blocks that has no
// parameters.
#pragma once

#include "core/plan_builder.h"
#include "layers/layer.h"

namespace branchy {

/// "Option A" of He et al. 2016, section 3.3. src [N,C,H,W] -> [N, front + C + behind, ceil(H /
/// stride), ceil(W / stride)]: pixels (0, 0), (0, stride), ... of src, zero in the `front` first
/// and `behind` last channels. No state; counts no operations.
class Subsample final : public Layer {
 public:
  static constexpr std::string_view kType = "subsample";
  /// Throws ConfigError for a stride below 1 or a negative number of channels.
  explicit Subsample(SubsampleOp op);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  static std::vector<LayerCase> cases();

 private:
  SubsampleOp op_;
};

}  // namespace branchy
