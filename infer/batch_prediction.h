// What an exit thinks of each sample of a batch.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "infer/policies/prediction.h"

namespace branchy {

/// One prediction for each row of `logits` [N, classes].
[[nodiscard]] std::vector<Prediction> predict_all(std::int64_t exit, const Tensor& logits,
                                                  float temperature = 1.0F);

}  // namespace branchy
