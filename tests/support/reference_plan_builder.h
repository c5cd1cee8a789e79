// ReferencePlanBuilder: computes what is lowered at once, naively and in double.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "core/plan_builder.h"

namespace branchy::test {

/// Shapes carry the batch size of the source here, unlike in a plan.
class ReferencePlanBuilder final : public PlanBuilder {
 public:
  explicit ReferencePlanBuilder(const Tensor& src);

  [[nodiscard]] const std::vector<double>& values(PlanValue value) const {
    return values_[static_cast<std::size_t>(value)].second;
  }
  [[nodiscard]] const Shape& shape(PlanValue value) const override {
    return values_[static_cast<std::size_t>(value)].first;
  }

  PlanValue convolution(PlanValue src, const ConvolutionOp& op) override;
  PlanValue batch_norm(PlanValue src, const BatchNormOp& op) override;
  PlanValue activation(PlanValue src, ActivationKind kind) override;
  PlanValue pool(PlanValue src, const PoolOp& op) override;
  PlanValue subsample(PlanValue src, const SubsampleOp& op) override;
  PlanValue linear(PlanValue src, const LinearOp& op) override;
  PlanValue flatten(PlanValue src) override;
  PlanValue add(PlanValue a, PlanValue b) override;
  PlanValue concat(std::span<const PlanValue> parts) override;
  PlanValue scale_channels(PlanValue src, PlanValue scale) override;

 private:
  PlanValue keep(const Shape& shape, std::vector<double> values);

  std::vector<std::pair<Shape, std::vector<double>>> values_;
};

}  // namespace branchy::test
