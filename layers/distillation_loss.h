// Distillation loss: an exit learns from the softened answers of another one.
#pragma once

#include "core/variable.h"

namespace branchy {

/// T^2 KL(softmax(teacher / T) || softmax(logits / T)), mean over the batch (Hinton et al.,
/// "Distilling the Knowledge in a Neural Network", 2015; T^2 keeps the size of the gradient as T
/// changes). As self-distillation from the last exit to earlier ones: Phuong, Lampert,
/// "Distillation-Based Training for Multi-Exit Architectures", 2019; Zhang et al., "Be Your Own
/// Teacher", 2019. logits and teacher [N,K] -> scalar; no gradient flows to the teacher. Throws
/// ShapeError for unequal shapes, ConfigError unless T is positive and finite.
[[nodiscard]] Variable distillation_loss(const Variable& logits, const Tensor& teacher,
                                         float temperature);

}  // namespace branchy
