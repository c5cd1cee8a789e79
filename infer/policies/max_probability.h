// Exit policy by maximum probability: leave when softmax is sure enough.
// Confidence as in BranchyNet-style networks with a probability threshold (Pacheco et al. 2021).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace branchy {

/// What an exit thinks of one sample.
struct Prediction {
  std::int64_t exit = 0;   ///< numbered from 1
  std::int64_t label = 0;  ///< lowest index of the largest score
  float confidence = 0;    ///< its softmax probability, in (0, 1]; NaN when a score is not finite
};

/// Softmax in float32 with the maximum subtracted first. `logits` is not empty, else ShapeError.
[[nodiscard]] Prediction predict(std::int64_t exit, std::span<const float> logits);
/// One prediction for each row of `logits` [N, classes].
[[nodiscard]] std::vector<Prediction> predict_all(std::int64_t exit, const Tensor& logits);

/// Whether a sample leaves: confidence >= threshold. A NaN never does.
[[nodiscard]] constexpr bool should_exit(float confidence, float threshold) {
  return confidence >= threshold;
}

/// The most confident of the computed exits, given shallowest first; ties go to the shallowest.
/// Not empty, else Error.
[[nodiscard]] const Prediction& most_confident(std::span<const Prediction> predictions);

/// One threshold for each early exit from what the user gave: one for all or one for each. Throws
/// ConfigError for another count or a value outside 0..1.
[[nodiscard]] std::vector<float> resolve_thresholds(std::span<const float> given,
                                                    std::int64_t num_early_exits);

}  // namespace branchy
