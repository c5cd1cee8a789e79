// A raw infer request: the body is one tensor and nothing else.
#pragma once

#include <span>
#include <string_view>

#include "infer/protocol.h"

namespace branchy {

/// The one input among `inputs`, none of the optional ones, whose size at batch 1 is the body's;
/// one with a second variable dimension is taken only when it is the model's only main input (its
/// size then says the dimension). All outputs are wanted binary. Throws HttpError 400.
[[nodiscard]] InferRequest parse_raw_request(std::string_view body,
                                             std::span<const TensorDescription> inputs);

}  // namespace branchy
