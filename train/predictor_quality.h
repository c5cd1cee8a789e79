// How well the scores of an exit predictor tell which exits will be confident.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace branchy {

/// Of one early exit, against the labels c_n >= lambda_n (eq. 9 of Dong et al.).
struct PredictorQuality {
  double share_of_ones = 0.0;
  double cross_entropy = 0.0;  ///< mean, natural logarithm; scores are kept 1e-7 off 0 and 1
  double accuracy = 0.0;       ///< of score >= 1/2
  double auroc = 0.0;  ///< a one scores higher than a zero, ties half; NaN without one of them
};

/// scores and targets [N, early exits], targets 0 or 1.
[[nodiscard]] std::vector<PredictorQuality> predictor_quality(const Tensor& scores,
                                                              const Tensor& targets);

/// Area under the ROC curve by ranks (Mann, Whitney 1947).
[[nodiscard]] double area_under_roc(std::span<const float> scores, std::span<const float> targets);

}  // namespace branchy
