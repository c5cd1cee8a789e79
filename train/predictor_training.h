// Training of exit predictors (Dong, Mao, Zhang 2022, section IV).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "layers/network.h"
#include "train/predictor_samples.h"
#include "train/recipes.h"

namespace branchy {

/// SGD, momentum 0.9, weight decay 2e-4, batch 128, cosine from 0.1 to 1e-4 over all epochs: the
/// paper's, which trains as long as the network (220 epochs).
[[nodiscard]] RecipeOptions predictor_recipe(std::int64_t epochs);

/// Eq. 9: 1 where an exit's confidence reaches its threshold (equality does), else 0. Confidences
/// [N, early exits], one threshold an exit.
[[nodiscard]] Tensor predictor_targets(const Tensor& confidences,
                                       std::span<const float> thresholds);

/// What is seen of a run after every step.
struct PredictorStep {
  double share = 0.0;  ///< of all steps done, 0..1
  std::int64_t epoch = 0, epochs = 0;
  double loss = 0.0;  ///< of the step, as below
};

/// By epoch the mean over samples of the sum over exits of the binary cross-entropy (eq. 6), in
/// training mode.
using PredictorLosses = std::vector<double>;

/// Trains `predictor`; `targets` has a row for every view. `go_on` is asked after every step; when
/// it says false, training ends and nothing is given. Throws NumericError when the loss is not
/// finite.
[[nodiscard]] std::optional<PredictorLosses> train_predictor(
    MultiExitNetwork& predictor, PredictorSamples& samples, const Tensor& targets,
    const RecipeOptions& recipe, const std::function<bool(const PredictorStep&)>& go_on);

}  // namespace branchy
