// Softmax cross-entropy, the loss of every exit.
#pragma once

#include <cstdint>
#include <span>

#include "core/variable.h"

namespace branchy {

/// Mean over the batch of -sum_k q_k ln softmax(logits)_k with q = (1 - s) onehot + s / classes
/// (label smoothing s, Szegedy et al. 2016). logits [N,K], labels N values in 0..K-1 -> scalar.
/// Throws ShapeError for another number of labels, DataError for a label out of range.
[[nodiscard]] Variable softmax_cross_entropy(const Variable& logits,
                                             std::span<const std::int64_t> labels,
                                             float label_smoothing = 0.0F);

}  // namespace branchy
