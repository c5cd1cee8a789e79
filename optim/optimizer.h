// Optimizer: what the optimisers share: parameters with their groups, clipping, state.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "core/variable.h"

namespace branchy {

/// One parameter to optimise.
struct OptimizedParameter {
  std::string name;
  Variable* variable = nullptr;
  bool decays = true;          ///< whether weight decay applies
  double rate_factor = 1.0;    ///< its rate is this times the rate of the step
  float weight_decay = -1.0F;  ///< its own; below 0: the optimiser's
};

/// Changes parameters by their gradients. Those without a gradient are left as they are.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Gives the global norm of the gradients before clipping (0 when clipping is off).
  double step(float rate);
  void clear_gradients();
  [[nodiscard]] const std::vector<OptimizedParameter>& parameters() const { return parameters_; }

  /// A tensor that outlives the step, with its name in checkpoints: "velocity.<parameter>", ...
  struct StateTensor {
    std::string name;
    Tensor* tensor = nullptr;
  };
  [[nodiscard]] virtual std::vector<StateTensor> state() = 0;

 protected:
  /// `clip_norm`: largest global gradient norm, 0 does not clip; `weight_decay`: of parameters
  /// that have no own.
  Optimizer(std::vector<OptimizedParameter> parameters, float clip_norm, float weight_decay);

  /// Values of one step for one parameter, which has a gradient.
  struct Update {
    std::size_t index = 0;  ///< into parameters()
    float rate = 0.0F, weight_decay = 0.0F;
  };
  /// Changes the parameters in one pass over all of them; `gradient_scale` is that of clipping.
  virtual void update(std::span<const Update> updates, float gradient_scale) = 0;
  /// A zero tensor for each parameter, of its shape.
  [[nodiscard]] std::vector<Tensor> zeros_like_parameters() const;
  /// Appends `tensors`, one for each parameter, under the names "<prefix>.<parameter>".
  void append_state(const char* prefix, std::vector<Tensor>& tensors,
                    std::vector<StateTensor>& state) const;

 private:
  [[nodiscard]] double gradient_norm() const;

  std::vector<OptimizedParameter> parameters_;
  float clip_norm_, weight_decay_;
};

}  // namespace branchy
