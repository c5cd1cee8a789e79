// Flattens all dimensions but the batch.
#pragma once

#include "layers/layer.h"

namespace branchy {

/// src [N,C,H,W] -> [N, C H W], row-major. No state, no cost.
class Flatten final : public Layer {
 public:
  static constexpr std::string_view kType = "flatten";
  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  static std::vector<LayerCase> cases();
};

}  // namespace branchy
