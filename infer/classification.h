// The protocol's classification extension: an output of scores as its best classes in words.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "infer/wire_tensor.h"

namespace branchy {

/// `scores` FP32 [rows, classes] to BYTES [rows, min(k, classes)] of `value:index` or, where
/// `labels` has one for the index, `value:index:label`; best first, ties by index. k >= 1. Throws
/// HttpError 400 for another datatype or rank.
[[nodiscard]] WireTensor classify(const WireTensor& scores, std::int64_t k,
                                  std::span<const std::string> labels);

}  // namespace branchy
