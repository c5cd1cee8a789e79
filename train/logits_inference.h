// Fills a logits cache: every exit of a network over a data set, once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "infer/exit_scores.h"
#include "layers/model_file.h"
#include "train/logits_cache.h"

namespace branchy {

struct LogitsInferenceOptions {
  std::string data, part;  ///< recorded in the cache
  std::int64_t batch = 0;  ///< images at a time; 0: `evaluation_batch`
  bool coded = true;       ///< exits behind the codec's cut get the feature through it, if any
  /// Gets 0..1; false stops.
  std::function<bool(double)> progress = [](double) { return true; };
};

/// Runs `model`, a whole network, and its predictor, if one is attached, over `images` in order;
/// and its codec likewise (unless not `coded`);
/// classes, exits and operations in the result are those of the lowered plan. Throws ConfigError
/// for one side of a split, DataError for a predictor that was trained for another network (record
/// `predictor.device_digest`). The result has no samples when it was stopped.
[[nodiscard]] LogitsCache infer_logits(const LoadedModel& model,
                                       const std::shared_ptr<const Dataset>& images,
                                       const LogitsInferenceOptions& options);

/// The attached predictor, ready to run; nothing when there is none. Throws as above.
[[nodiscard]] std::unique_ptr<ExitScores> attached_scores(const LoadedModel& model);

}  // namespace branchy
