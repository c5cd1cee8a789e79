// The losses of a network's exits, as one training step takes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/variable.h"
#include "train/recipes.h"

namespace branchy {

/// Of logits [N,K] of every exit and N labels, one scalar an exit: softmax cross-entropy CE with
/// the recipe's label smoothing. With self-distillation of weight a = `recipe.distill` the early
/// exits learn from the last one too, at T = `recipe.distill_temperature`:
///   (1 - a) CE + a T^2 KL(softmax(last / T) || softmax(exit / T))
/// The last exit is the teacher: it keeps its CE and gets no gradient from the others' (Zhang et
/// al., "Be Your Own Teacher", 2019, eq. 1 and 2 without the feature loss; distillation_loss.h).
[[nodiscard]] std::vector<Variable> exit_losses(std::span<const Variable> logits,
                                                std::span<const std::int64_t> labels,
                                                const RecipeOptions& recipe);

}  // namespace branchy
