// ExitView: what one computed exit says of one sample, with the scores that policies look at.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "infer/policies/prediction.h"

namespace branchy {

/// Every score is NaN when a logit is not finite, and so lets no sample leave.
struct ExitView {
  std::span<const float> logits = {};  ///< [classes], divided by the exit's temperature
  Prediction prediction = {};          ///< of them; carries the exit's number
  /// -sum(p ln p) / ln(classes), in 0..1; 0 ln 0 counts as 0. Lee et al. 2020, section 3.
  float entropy = std::nanf("");
  float margin = std::nanf("");  ///< largest minus second largest probability, 0..1
};

/// `logits` [classes] come raw from the exit; those divided by `temperature` (> 0) are written to
/// `scaled`, of the same size, which the view refers to. Softmax in float32, maximum subtracted.
/// The class is that of the raw logits. Throws ShapeError without logits.
[[nodiscard]] ExitView make_exit_view(std::int64_t exit, std::span<const float> logits,
                                      float temperature, std::span<float> scaled);

/// The entropy of p^2 / sum(p^2) over ln(classes), which tells flat from peaked more sharply; one
/// of the features of a learned gate (JEI-DNN, Regol et al. 2024). Of an ExitView's logits.
[[nodiscard]] float entropy_of_squares(std::span<const float> logits);

}  // namespace branchy
