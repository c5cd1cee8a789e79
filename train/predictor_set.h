// PredictorSet: images with the logits of every exit and the scores of a predictor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "infer/model_images.h"
#include "train/logits_cache.h"
#include "train/policy_simulation.h"

namespace branchy {

struct PredictorSet {
  std::shared_ptr<const Dataset> images;
  LogitsCache logits;  ///< of all images, with scores as below

  /// For the simulation, with the model's temperatures: all samples or those at `positions`.
  [[nodiscard]] StoredExits stored(
      const LoadedModel& model,
      const std::optional<std::vector<std::int64_t>>& positions = std::nullopt) const;
};

/// Opens a part of the data. The logits come from `file` (of `branchy infer-all`), whose scores do
/// not count, or, without one, from running the network with its predictor, if it has one. `go_on`
/// gets the share done; when it says false, nothing is given. Throws DataError for logits of
/// another model or other images.
[[nodiscard]] std::optional<PredictorSet> open_predictor_set(
    const LoadedModel& model, const ImageRequest& request, const std::filesystem::path& file,
    const std::function<bool(double share)>& go_on);

/// The scores of the predictor attached to `model`, and what it costs, in place of others. False
/// when `go_on` says so.
[[nodiscard]] bool add_scores(PredictorSet& set, const LoadedModel& model,
                              const std::function<bool(double share)>& go_on);

}  // namespace branchy
