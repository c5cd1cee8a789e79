// Dropout (Srivastava et al. 2014) with inverted scaling.
#pragma once

#include "layers/layer.h"

namespace branchy {

/// Training: each value is dropped with `probability`, the others are divided by 1 - probability.
/// Evaluation: identity. Any shape, no state. The mask is a function of Pass::seed and the layer's
/// name, so layers of a network differ and a step can be repeated.
class Dropout final : public Layer {
 public:
  static constexpr std::string_view kType = "dropout";
  /// Throws ConfigError unless 0 <= probability < 1.
  explicit Dropout(float probability);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override { return src; }
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  static std::vector<LayerCase> cases();

 private:
  float probability_;
};

}  // namespace branchy
