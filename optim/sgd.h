// Stochastic gradient descent with momentum.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"
#include "core/variable.h"

namespace branchy {

/// One parameter to optimise.
struct OptimizedParameter {
  std::string name;
  Variable* variable = nullptr;
  bool decays = true;  ///< whether weight decay applies
};

struct SgdParams {
  float momentum = 0.9F;
  float weight_decay = 0.0F;  ///< added to the gradient (L2)
  bool nesterov = false;
  float clip_norm = 0.0F;  ///< largest global gradient norm; 0 does not clip
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// d = g + weight_decay w; v = momentum v + d; w -= rate (nesterov ? d + momentum v : v)
/// (Sutskever et al. 2013 in the form common frameworks use). Parameters without a gradient are
/// left as they are.
class Sgd {
 public:
  Sgd(std::vector<OptimizedParameter> parameters, SgdParams params);

  /// Gives the global norm of the gradients before clipping (0 when clipping is off).
  double step(float rate);
  void clear_gradients();
  /// Velocities in the order of the parameters, for checkpoints.
  [[nodiscard]] std::vector<Tensor>& velocities() { return velocities_; }
  [[nodiscard]] const std::vector<OptimizedParameter>& parameters() const { return parameters_; }

 private:
  [[nodiscard]] double gradient_norm() const;

  std::vector<OptimizedParameter> parameters_;
  std::vector<Tensor> velocities_;
  SgdParams params_;
};

}  // namespace branchy
