// Scores of a model's exit predictor over a data set.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/tensor.h"
#include "data/dataset.h"
#include "layers/model_file.h"

namespace branchy {

/// [N, early exits], 0..1, of the images as they are, in order. `reads_after` as in PredictorInput.
/// `go_on` gets the share done after every batch; when it says false, nothing is given.
[[nodiscard]] std::optional<Tensor> predictor_scores(
    const LoadedModel& model, std::int64_t reads_after,
    const std::shared_ptr<const Dataset>& images, const std::function<bool(double share)>& go_on);

}  // namespace branchy
