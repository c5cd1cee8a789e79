#include "train/recipes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "train/flag_range.h"

namespace branchy {

namespace {

// Dong, Mao, Zhang 2022, section V-A: SGD, batch 128, weight decay 5e-4, cosine from 0.1 at epoch 0
// to 1e-4 at epoch 200, then 20 epochs at 1e-4. Momentum 0.9 and crop + flip are the usual choice
// where the paper is silent.
RecipeOptions paper_recipe() {
  RecipeOptions r;
  r.epochs = 220;
  r.schedule = "cosine";
  r.rate = 0.1;
  r.end_rate = 1e-4;
  r.decay_epochs = 200;
  return r;
}

// A dozen epochs: one cycle with Nesterov momentum and a moving average of the weights.
RecipeOptions fast_recipe() {
  RecipeOptions r;
  r.epochs = 12;
  r.schedule = "one-cycle";
  r.rate = 0.2;
  r.warmup_epochs = 2.5;
  r.nesterov = true;
  r.decay_norm_and_bias = false;
  r.ema_decay = 0.99;
  return r;
}

// Pacheco et al. 2021 and the notebooks of its authors: Adam, backbone 1.5e-4, exits and classifier
// 5e-3, weight decay 5e-5 added to the gradient, cosine annealing with T_max 10 stepped once an
// epoch and not restarted, batch 32, loss weights from 0.15 to 1, stop after 5 epochs without a
// lower validation loss. The code counts differently (to 10, or never); the paper says 5. No number
// of epochs is given: patience ends the run.
RecipeOptions pacheco_recipe() {
  RecipeOptions r;
  r.epochs = 300;
  r.batch = 32;
  r.optimizer = "adam";
  r.schedule = "cosine-swing";
  r.decay_epochs = 10;
  r.rate_by_epoch = true;
  r.rate = 5e-3;
  r.backbone.rate = 1.5e-4;
  r.weight_decay = 5e-5;
  r.augment = "pacheco";
  r.weighting = "pacheco";
  r.patience = 5;
  return r;
}

// Minutes instead of hours: AdamW in one cycle, new heads ten times as fast as the backbone, every
// exit's loss counted in full, smoothed labels and a moving average of the weights.
RecipeOptions fast_finetune_recipe() {
  RecipeOptions r;
  r.epochs = 12;
  r.batch = 32;
  r.optimizer = "adamw";
  r.schedule = "one-cycle";
  r.warmup_epochs = 1.5;
  r.rate = 3e-3;
  r.backbone.rate = 3e-4;
  r.weight_decay = 0.02;
  r.decay_norm_and_bias = false;
  r.label_smoothing = 0.1;
  r.ema_decay = 0.99;
  r.augment = "auto";
  r.weighting = "ones";
  return r;
}

/// One group: its state entries that are trained, and what it has of its own.
struct Group {
  std::vector<StateEntry> state;
  GroupOptions options;
};

std::vector<Group> groups_of(const RecipeOptions& recipe, MultiExitNetwork& network) {
  NetworkPart trunk = network.whole();
  trunk.last_exit = 0;
  const std::int64_t last = network.num_exits();
  return {{network.trained_state(trunk), recipe.backbone},
          {network.trained_state({.first_exit = 1, .last_exit = last - 1}), recipe.exits},
          {network.trained_state({.first_exit = last, .last_exit = last}), recipe.classifier}};
}

}  // namespace

RecipeOptions recipe(const std::string& name) {
  if (name == "paper") return paper_recipe();
  if (name == "fast") return fast_recipe();
  throw ConfigError(fmt::format("[train] --recipe '{}', expected paper or fast", name));
}

RecipeOptions finetune_recipe(const std::string& name) {
  if (name == "pacheco") return pacheco_recipe();
  if (name == "fast") return fast_finetune_recipe();
  throw ConfigError(fmt::format("[finetune] --recipe '{}', expected pacheco or fast", name));
}

RecipeOptions scaled_to_epochs(RecipeOptions recipe, std::int64_t epochs) {
  const double factor = static_cast<double>(epochs) / static_cast<double>(recipe.epochs);
  recipe.epochs = epochs;
  recipe.warmup_epochs *= factor;
  if (recipe.schedule != to_string(ScheduleKind::kCosineSwing)) recipe.decay_epochs *= factor;
  for (double& drop : recipe.drop_epochs) drop *= factor;
  return recipe;
}

std::vector<double> exit_loss_weights(const std::string& weighting, std::int64_t num_exits) {
  const auto count = static_cast<std::size_t>(num_exits);
  if (weighting == "ones") return std::vector<double>(count, 1.0);
  if (weighting == "pacheco") {
    constexpr double kFirst = 0.15;
    std::vector<double> weights(count, 1.0);
    for (std::size_t i = 0; i + 1 < count; ++i)
      weights[i] =
          kFirst + (1.0 - kFirst) * static_cast<double>(i) / static_cast<double>(count - 1);
    return weights;
  }
  if (weighting != "dong")
    throw ConfigError(
        fmt::format("[train] --weighting '{}', expected dong, pacheco or ones", weighting));
  if (num_exits == 3) return {0.2, 0.3, 0.5};
  if (num_exits == 4) return {0.2, 0.2, 0.2, 0.4};
  return std::vector<double>(count, 1.0 / static_cast<double>(num_exits));
}

std::vector<double> default_exit_weights(std::int64_t num_exits) {
  return exit_loss_weights("dong", num_exits);
}

void validate(const RecipeOptions& r) {
  static_cast<void>(parse_schedule(r.schedule));
  static_cast<void>(exit_loss_weights(r.weighting, 1));
  if (r.optimizer != "sgd" && r.optimizer != "adam" && r.optimizer != "adamw")
    throw ConfigError(
        fmt::format("[train] --optimizer '{}', expected sgd, adam or adamw", r.optimizer));
  constexpr std::int64_t kManyImages = 1 << 20;
  require_range("--epochs", r.epochs, 1, kManyOfAFlag);
  require_range("--batch", r.batch, 2, kManyImages);
  require_range("--lr", r.rate, 1e-12, kLargeFlag);
  for (const auto& [name, group] :
       {std::pair{"backbone", r.backbone}, {"exits", r.exits}, {"classifier", r.classifier}}) {
    require_range(fmt::format("--lr-{}", name), group.rate, 0.0, kLargeFlag);
    require_range(fmt::format("--weight-decay-{}", name), group.weight_decay, -1.0, kLargeFlag);
  }
  require_range("--end-lr", r.end_rate, 0.0, r.rate);
  require_range("--warmup-epochs", r.warmup_epochs, 0.0, static_cast<double>(r.epochs));
  require_range("--decay-epochs", r.decay_epochs, 0.0, kLargeFlag);
  for (const double epoch : r.drop_epochs) require_range("--drop-epochs", epoch, 0.0, kLargeFlag);
  require_range("--drop-factor", r.drop_factor, 1e-12, kLargeFlag);
  require_range("--clip-norm", r.clip_norm, 0.0, kLargeFlag);
  require_range("--weight-decay", r.weight_decay, 0.0, kLargeFlag);
  require_range("--label-smoothing", r.label_smoothing, 0.0, 0.999);
  require_range("--ema", r.ema_decay, 0.0, 0.999999);
  require_range("--distill", r.distill, 0.0, 1.0);
  require_range("--distill-temperature", r.distill_temperature, 1e-3, 1e3);
  require_range("--patience", r.patience, 0, kManyOfAFlag);
}

std::unique_ptr<Optimizer> make_optimizer(const RecipeOptions& recipe, MultiExitNetwork& network) {
  std::vector<OptimizedParameter> parameters;
  for (const Group& group : groups_of(recipe, network))
    for (const StateEntry& entry : group.state)
      if (!entry.is_buffer)
        parameters.push_back(
            {.name = entry.name,
             .variable = entry.variable,
             .decays = recipe.decay_norm_and_bias || entry.decays,
             .rate_factor = group.options.rate > 0.0 ? group.options.rate / recipe.rate : 1.0,
             .weight_decay = static_cast<float>(group.options.weight_decay)});
  const auto decay = static_cast<float>(recipe.weight_decay);
  const auto clip = static_cast<float>(recipe.clip_norm);
  if (recipe.optimizer == "sgd")
    return std::make_unique<Sgd>(std::move(parameters),
                                 SgdParams{.momentum = static_cast<float>(recipe.momentum),
                                           .weight_decay = decay,
                                           .nesterov = recipe.nesterov,
                                           .clip_norm = clip});
  return std::make_unique<Adam>(std::move(parameters),
                                AdamParams{.beta1 = recipe.beta1,
                                           .beta2 = recipe.beta2,
                                           .epsilon = recipe.epsilon,
                                           .weight_decay = decay,
                                           .decoupled = recipe.optimizer == "adamw",
                                           .clip_norm = clip});
}

ScheduleParams make_schedule(const RecipeOptions& recipe, std::int64_t steps_per_epoch) {
  const auto steps = [&](double epochs) {
    return std::llround(epochs * static_cast<double>(steps_per_epoch));
  };
  ScheduleParams schedule;
  schedule.kind = parse_schedule(recipe.schedule);
  schedule.rate = recipe.rate;
  schedule.end_rate = recipe.end_rate;
  schedule.decay_steps = std::max<std::int64_t>(
      1,
      steps(recipe.decay_epochs > 0.0 ? recipe.decay_epochs : static_cast<double>(recipe.epochs)));
  schedule.warmup_steps = steps(recipe.warmup_epochs);
  schedule.factor = recipe.drop_factor;
  for (const double epoch : recipe.drop_epochs) schedule.drops.push_back(steps(epoch));
  if (recipe.rate_by_epoch) schedule.hold_steps = steps_per_epoch;
  schedule.validate();
  return schedule;
}

}  // namespace branchy
