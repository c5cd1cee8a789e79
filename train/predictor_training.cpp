#include "train/predictor_training.h"

#include <fmt/core.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "infer/policies/exit_thresholds.h"
#include "layers/binary_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "train/table_rows.h"

namespace branchy {

RecipeOptions predictor_recipe(std::int64_t epochs) {
  RecipeOptions recipe;
  recipe.epochs = epochs;
  recipe.schedule = "cosine";
  recipe.end_rate = 1e-4;
  recipe.weight_decay = 2e-4;
  return recipe;
}

Tensor predictor_targets(const Tensor& confidences, std::span<const float> thresholds) {
  BRANCHY_DCHECK(confidences.dim(1) == std::ssize(thresholds));
  Tensor targets(confidences.shape());
  const auto from = confidences.data();
  const auto to = targets.mutable_data();
  for (std::size_t i = 0; i < from.size(); ++i)
    to[i] = should_exit(from[i], thresholds[i % thresholds.size()]) ? 1.0F : 0.0F;
  return targets;
}

std::optional<PredictorLosses> train_predictor(
    MultiExitNetwork& predictor, PredictorSamples& samples, const Tensor& targets,
    const RecipeOptions& recipe, const std::function<bool(const PredictorStep&)>& go_on) {
  validate(recipe);
  predictor.freeze({.blocks = samples.blocks_done()});
  const auto optimizer = make_optimizer(recipe, predictor);
  const ScheduleParams schedule = make_schedule(recipe, samples.batches_per_epoch());
  // The mean over all elements, times the exits, is the sum over exits of eq. 6.
  const std::array<float, 1> exits{static_cast<float>(targets.dim(1))};
  const auto steps = static_cast<double>(recipe.epochs * samples.batches_per_epoch());
  PredictorLosses losses;
  std::int64_t step = 0;
  for (std::int64_t epoch = 0; epoch < recipe.epochs; ++epoch) {
    double sum = 0.0;
    samples.start_epoch(epoch);
    while (const auto batch = samples.next()) {
      optimizer->clear_gradients();
      const auto logits =
          predictor.forward_features({Variable(batch->input)}, {.mode = Mode::kTrain});
      const std::vector<Variable> parts{
          binary_cross_entropy(logits.front(), take_rows(targets, batch->rows))};
      const Variable loss = weighted_sum(parts, exits);
      const auto value = static_cast<double>(loss.value().item());
      if (!std::isfinite(value))
        throw NumericError(
            fmt::format("[predictor] the loss of step {} is {}; lower --lr", step + 1, value));
      loss.backward();
      optimizer->step(static_cast<float>(learning_rate(schedule, step)));
      sum += value;
      ++step;
      if (!go_on({.share = static_cast<double>(step) / steps,
                  .epoch = epoch + 1,
                  .epochs = recipe.epochs,
                  .loss = value}))
        return std::nullopt;
    }
    losses.push_back(sum / static_cast<double>(samples.batches_per_epoch()));
  }
  predictor.freeze({});
  return losses;
}

}  // namespace branchy
