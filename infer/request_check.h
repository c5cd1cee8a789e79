// Whether an infer request fits the model that it is for.
#pragma once

#include "infer/protocol.h"

namespace branchy {

/// Checks names, datatypes and shapes of the inputs against the model: exactly one input that is
/// not optional, at least one row, the same number of rows in all. Throws HttpError 400.
void check_inputs(const InferRequest& request, const ModelDescription& model);
/// Checks the outputs that the request names: that they exist, and that those wanted as classes are
/// scores. Throws HttpError 400.
void check_outputs(const InferRequest& request, const ModelDescription& model);
/// The input that is not optional, after check_inputs().
[[nodiscard]] const WireTensor& main_input(const InferRequest& request,
                                           const ModelDescription& model);

}  // namespace branchy
