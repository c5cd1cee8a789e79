#include "optim/sgd.h"

#include <fmt/core.h>

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
    : Optimizer(std::move(parameters), params.clip_norm, params.weight_decay), params_(params) {
  params_.validate();
  velocities_ = zeros_like_parameters();
}

void Sgd::update(std::span<const Update> updates, float gradient_scale) {
  std::vector<kernels::SgdParameter> all;
  for (const Update& one : updates) {
    Variable& variable = *parameters()[one.index].variable;
    all.push_back({.weights = &variable.mutable_value(),
                   .diff = &variable.grad(),
                   .velocity = &velocities_[one.index],
                   .rate = one.rate,
                   .weight_decay = one.weight_decay});
  }
  kernels::sgd_step(all, {.momentum = params_.momentum,
                          .gradient_scale = gradient_scale,
                          .nesterov = params_.nesterov});
}

std::vector<Optimizer::StateTensor> Sgd::state() {
  std::vector<StateTensor> state;
  append_state("velocity", velocities_, state);
  return state;
}

}  // namespace branchy
