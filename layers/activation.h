// ReLU, ReLU6 and sigmoid as layers of their own (after a batch norm ReLU is fused there).
#pragma once

#include "layers/layer.h"

namespace branchy {

/// Element-wise, any shape. No state.
class Activation final : public Layer {
 public:
  static constexpr std::string_view kType = "activation";
  explicit Activation(ActivationKind kind) : kind_(kind) {}
  [[nodiscard]] std::string_view type() const override;
  [[nodiscard]] Shape output_shape(const Shape& src) const override { return src; }
  Variable do_forward(const Variable& src, const Pass& pass) override;
  /// ReLU and ReLU6 count one per element in `ptflops`, sigmoid nothing.
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  static std::vector<LayerCase> cases();

 private:
  ActivationKind kind_;
};

}  // namespace branchy
