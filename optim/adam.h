// Adam and AdamW.
#pragma once

#include <span>
#include <vector>

#include "optim/optimizer.h"

namespace branchy {

struct AdamParams {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  float weight_decay = 0.0F;
  bool decoupled = false;  ///< AdamW: the weights shrink by rate * weight_decay instead
  float clip_norm = 0.0F;  ///< largest global gradient norm; 0 does not clip
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// Adam (Kingma, Ba 2015) with weight decay added to the gradient, or AdamW (Loshchilov, Hutter
/// 2019), in PyTorch's form:
///   decoupled: w = (1 - rate weight_decay) w; else g = g + weight_decay w
///   m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2
///   w -= rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)
/// with t the number of steps, this one included.
class Adam final : public Optimizer {
 public:
  Adam(std::vector<OptimizedParameter> parameters, AdamParams params);

  /// "mean.<parameter>", "square.<parameter>" and "steps" [1], which is exact below 2^24 steps.
  [[nodiscard]] std::vector<StateTensor> state() override;

 private:
  void update(std::span<const Update> updates, float gradient_scale) override;

  AdamParams params_;
  std::vector<Tensor> means_, squares_;
  Tensor steps_;
};

}  // namespace branchy
