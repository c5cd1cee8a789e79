#include "optim/optimizer.h"

#include <fmt/core.h>

#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/kernels/sgd_step.h"

namespace branchy {

Optimizer::Optimizer(std::vector<OptimizedParameter> parameters, float clip_norm,
                     float weight_decay)
    : parameters_(std::move(parameters)), clip_norm_(clip_norm), weight_decay_(weight_decay) {
  for (const OptimizedParameter& parameter : parameters_)
    if (!(parameter.rate_factor >= 0.0) || !std::isfinite(parameter.rate_factor))
      throw ConfigError(fmt::format("[optimizer] rate factor {} of {}, expected 0 or more",
                                    parameter.rate_factor, parameter.name));
}

double Optimizer::step(float rate) {
  double norm = 0.0;
  float gradient_scale = 1.0F;
  if (clip_norm_ > 0.0F) {
    norm = gradient_norm();
    if (norm > static_cast<double>(clip_norm_))
      gradient_scale = static_cast<float>(static_cast<double>(clip_norm_) / norm);
  }
  std::vector<Update> updates;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const OptimizedParameter& parameter = parameters_[i];
    if (!parameter.variable->grad().defined()) continue;
    const float decay = parameter.weight_decay < 0.0F ? weight_decay_ : parameter.weight_decay;
    updates.push_back(
        {.index = i,
         .rate = static_cast<float>(parameter.rate_factor * static_cast<double>(rate)),
         .weight_decay = parameter.decays ? decay : 0.0F});
  }
  update(updates, gradient_scale);
  return norm;
}

void Optimizer::clear_gradients() {
  for (const OptimizedParameter& parameter : parameters_) parameter.variable->clear_grad();
}

std::vector<Tensor> Optimizer::zeros_like_parameters() const {
  std::vector<Tensor> tensors;
  for (const OptimizedParameter& parameter : parameters_)
    tensors.push_back(Tensor::zeros(parameter.variable->shape()));
  return tensors;
}

void Optimizer::append_state(const char* prefix, std::vector<Tensor>& tensors,
                             std::vector<StateTensor>& state) const {
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    state.push_back({fmt::format("{}.{}", prefix, parameters_[i].name), &tensors[i]});
}

double Optimizer::gradient_norm() const {
  std::vector<const Tensor*> gradients;
  for (const OptimizedParameter& parameter : parameters_)
    if (parameter.variable->grad().defined()) gradients.push_back(&parameter.variable->grad());
  return std::sqrt(kernels::sum_of_squares(gradients));
}

}  // namespace branchy
