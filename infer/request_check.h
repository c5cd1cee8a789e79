// Whether an infer request fits the model that it is for.
#pragma once

#include "infer/protocol.h"

namespace branchy {

/// Checks names, datatypes and shapes of the inputs against the model: exactly one input that is
/// not optional, at least one row, the same number of rows in all. Throws HttpError 400.
void check_inputs(const InferRequest& request, const ModelDescription& model);

}  // namespace branchy
