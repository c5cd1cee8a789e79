// PlanBuilder: what a layer says when it is lowered for inference. `infer` implements it.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.h"

namespace branchy {

/// A value in the plan under construction: the handle of an activation.
using PlanValue = std::int32_t;

enum class ActivationKind { kRelu, kRelu6, kSigmoid };
enum class PoolKind { kMax, kAverage };

/// weights [O, I/groups, K, K]; transposed: [I, O/groups, K, K]. bias [O] or undefined.
struct ConvolutionOp {
  Tensor weights, bias;
  std::int64_t stride = 1, padding = 0, groups = 1;
  bool transposed = false;
};

/// y = (x - mean) / sqrt(variance + epsilon) * scale + shift, all of shape [C].
struct BatchNormOp {
  Tensor scale, shift, mean, variance;
  float epsilon = 1e-5F;
};

/// Square window; global pooling gives kernel 0. Padding counts as zeros for the average.
struct PoolOp {
  PoolKind kind = PoolKind::kMax;
  std::int64_t kernel = 2, stride = 2, padding = 0;
};

/// Every `stride`-th pixel of both directions; `front` zero channels before and `behind` after.
struct SubsampleOp {
  std::int64_t stride = 1, front = 0, behind = 0;
};

/// src [N, I] -> [N, O]; weights [O, I], bias [O] or undefined.
struct LinearOp {
  Tensor weights, bias;
};

/// Receives the operations of evaluation mode in order. Each call gives the value it produces;
/// the builder folds batch norm and fuses activations and sums where it can.
class PlanBuilder {
 public:
  virtual ~PlanBuilder() = default;
  /// Shape of a value for batch size 1.
  [[nodiscard]] virtual const Shape& shape(PlanValue value) const = 0;

  virtual PlanValue convolution(PlanValue src, const ConvolutionOp& op) = 0;
  virtual PlanValue batch_norm(PlanValue src, const BatchNormOp& op) = 0;
  virtual PlanValue activation(PlanValue src, ActivationKind kind) = 0;
  virtual PlanValue pool(PlanValue src, const PoolOp& op) = 0;
  virtual PlanValue subsample(PlanValue src, const SubsampleOp& op) = 0;
  virtual PlanValue linear(PlanValue src, const LinearOp& op) = 0;
  virtual PlanValue flatten(PlanValue src) = 0;  ///< [N,C,H,W] -> [N, C H W]
  virtual PlanValue add(PlanValue a, PlanValue b) = 0;
  virtual PlanValue concat(std::span<const PlanValue> parts) = 0;  ///< along the channels
  /// src [N,C,H,W] times scale [N,C] or [N,C,1,1].
  virtual PlanValue scale_channels(PlanValue src, PlanValue scale) = 0;
};

}  // namespace branchy
