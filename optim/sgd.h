// Stochastic gradient descent with momentum.
#pragma once

#include <span>
#include <vector>

#include "optim/optimizer.h"

namespace branchy {

struct SgdParams {
  float momentum = 0.9F;
  float weight_decay = 0.0F;  ///< added to the gradient (L2)
  bool nesterov = false;
  float clip_norm = 0.0F;  ///< largest global gradient norm; 0 does not clip
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// d = g + weight_decay w; v = momentum v + d; w -= rate (nesterov ? d + momentum v : v)
/// (Sutskever et al. 2013 in the form common frameworks use).
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<OptimizedParameter> parameters, SgdParams params);

  /// "velocity.<parameter>".
  [[nodiscard]] std::vector<StateTensor> state() override;

 private:
  void update(std::span<const Update> updates, float gradient_scale) override;

  SgdParams params_;
  std::vector<Tensor> velocities_;
};

}  // namespace branchy
