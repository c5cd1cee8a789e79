// What a request says beside the value to go on from: the client's exits, and a predictor's scores.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "infer/policies/exit_policy.h"
#include "infer/protocol.h"

namespace branchy {

struct SideInputs {
  /// Row and what an exit of the client said of it; rows and their exits in rising order.
  std::vector<std::pair<std::int64_t, Prediction>> seen;
  std::vector<float> scores;  ///< row-major [rows, early exits]; empty when none came
};

/// Reads `edge_class`, `edge_confidence` and `edge_score`, whose shapes have been checked. Throws
/// HttpError 400 for values that cannot be, one of the first two without the other, and when
/// `policy` needs what did not come or cannot travel.
[[nodiscard]] SideInputs read_side_inputs(const InferRequest& request, const ExitPolicy& policy,
                                          std::int64_t num_classes);

}  // namespace branchy
