// Scores of a model's exit predictor over a data set.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/tensor.h"
#include "data/dataset.h"
#include "infer/exit_scores.h"
#include "layers/model_file.h"

namespace branchy {

/// [N, early exits], 0..1, of the images as they are, in order. `predictor` is that of `model`.
/// `go_on` gets the share done after every batch; when it says false, nothing is given.
[[nodiscard]] std::optional<Tensor> predictor_scores(
    const LoadedModel& model, ExitScores& predictor, const std::shared_ptr<const Dataset>& images,
    const std::function<bool(double share)>& go_on);

}  // namespace branchy
