#include "optim/sgd.h"

#include <fmt/core.h>

#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/kernels/sgd_step.h"

namespace branchy {

void SgdParams::validate() const {
  if (!(momentum >= 0.0F && momentum < 1.0F) || !(weight_decay >= 0.0F) || !(clip_norm >= 0.0F))
    throw ConfigError(fmt::format(
        "[sgd] momentum {} weight decay {} clip norm {}: expected 0 <= momentum < 1, others >= 0",
        momentum, weight_decay, clip_norm));
  if (nesterov && momentum == 0.0F)
    throw ConfigError("[sgd] Nesterov without momentum; give a momentum above 0");
}

Sgd::Sgd(std::vector<OptimizedParameter> parameters, SgdParams params)
    : parameters_(std::move(parameters)), params_(params) {
  params_.validate();
  for (const OptimizedParameter& parameter : parameters_)
    velocities_.push_back(Tensor::zeros(parameter.variable->shape()));
}

double Sgd::step(float rate) {
  kernels::SgdStepParams step{.rate = rate,
                              .momentum = params_.momentum,
                              .weight_decay = 0.0F,
                              .gradient_scale = 1.0F,
                              .nesterov = params_.nesterov};
  double norm = 0.0;
  if (params_.clip_norm > 0.0F) {
    norm = gradient_norm();
    if (norm > static_cast<double>(params_.clip_norm))
      step.gradient_scale = static_cast<float>(static_cast<double>(params_.clip_norm) / norm);
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Variable& variable = *parameters_[i].variable;
    if (!variable.grad().defined()) continue;
    step.weight_decay = parameters_[i].decays ? params_.weight_decay : 0.0F;
    kernels::sgd_step(variable.mutable_value(), variable.grad(), velocities_[i], step);
  }
  return norm;
}

void Sgd::clear_gradients() {
  for (const OptimizedParameter& parameter : parameters_) parameter.variable->clear_grad();
}

double Sgd::gradient_norm() const {
  double sum = 0.0;
  for (const OptimizedParameter& parameter : parameters_)
    if (parameter.variable->grad().defined())
      sum += kernels::sum_of_squares(parameter.variable->grad());
  return std::sqrt(sum);
}

}  // namespace branchy
