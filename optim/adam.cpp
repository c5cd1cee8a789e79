#include "optim/adam.h"

#include <fmt/core.h>

#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/kernels/adam_step.h"

namespace branchy {

void AdamParams::validate() const {
  const auto is_beta = [](double beta) { return beta >= 0.0 && beta < 1.0; };
  if (!is_beta(beta1) || !is_beta(beta2) || !(epsilon > 0.0))
    throw ConfigError(
        fmt::format("[adam] beta1 {} beta2 {} epsilon {}: expected 0 <= beta < 1 and epsilon > 0",
                    beta1, beta2, epsilon));
  if (!(weight_decay >= 0.0F) || !(clip_norm >= 0.0F))
    throw ConfigError(fmt::format("[adam] weight decay {} clip norm {}: expected 0 or more",
                                  weight_decay, clip_norm));
}

Adam::Adam(std::vector<OptimizedParameter> parameters, AdamParams params)
    : Optimizer(std::move(parameters), params.clip_norm, params.weight_decay),
      params_(params),
      steps_(Tensor::zeros(Shape{1})) {
  params_.validate();
  means_ = zeros_like_parameters();
  squares_ = zeros_like_parameters();
}

void Adam::update(std::span<const Update> updates, float gradient_scale) {
  steps_.mutable_data()[0] += 1.0F;
  const auto t = static_cast<double>(steps_.item());
  const double mean_correction = 1.0 - std::pow(params_.beta1, t);
  const double square_correction = 1.0 - std::pow(params_.beta2, t);
  std::vector<kernels::AdamParameter> all;
  for (const Update& one : updates) {
    Variable& variable = *parameters()[one.index].variable;
    const auto rate = static_cast<double>(one.rate);
    const auto decay = static_cast<double>(one.weight_decay);
    all.push_back({.weights = &variable.mutable_value(),
                   .diff = &variable.grad(),
                   .mean = &means_[one.index],
                   .square = &squares_[one.index],
                   .step_size = static_cast<float>(rate / mean_correction),
                   .weight_decay = params_.decoupled ? 0.0F : one.weight_decay,
                   .keep = params_.decoupled ? static_cast<float>(1.0 - rate * decay) : 1.0F});
  }
  kernels::adam_step(all, {.beta1 = static_cast<float>(params_.beta1),
                           .new1 = static_cast<float>(1.0 - params_.beta1),
                           .beta2 = static_cast<float>(params_.beta2),
                           .new2 = static_cast<float>(1.0 - params_.beta2),
                           .epsilon = static_cast<float>(params_.epsilon),
                           .correction = static_cast<float>(1.0 / std::sqrt(square_correction)),
                           .gradient_scale = gradient_scale});
}

std::vector<Optimizer::StateTensor> Adam::state() {
  std::vector<StateTensor> state;
  append_state("mean", means_, state);
  append_state("square", squares_, state);
  state.push_back({"steps", &steps_});
  return state;
}

}  // namespace branchy
