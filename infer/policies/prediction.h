// Prediction: what an exit thinks of one sample.
#pragma once

#include <cstdint>
#include <span>

namespace branchy {

struct Prediction {
  std::int64_t exit = 0;   ///< numbered from 1
  std::int64_t label = 0;  ///< lowest index of the largest score
  float confidence = 0;    ///< its softmax probability, in (0, 1]; NaN when a score is not finite

  friend bool operator==(const Prediction&, const Prediction&) = default;
};

/// Softmax of logits / temperature in float32 with the maximum subtracted first. The class is that
/// of the logits, so a temperature never changes it. `logits` is not empty, else ShapeError.
[[nodiscard]] Prediction predict(std::int64_t exit, std::span<const float> logits,
                                 float temperature = 1.0F);

/// The most confident of the computed exits, given shallowest first; ties go to the shallowest.
/// Not empty, else Error.
[[nodiscard]] const Prediction& most_confident(std::span<const Prediction> predictions);

}  // namespace branchy
