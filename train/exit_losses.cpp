#include "train/exit_losses.h"

#include "layers/distillation_loss.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"

namespace branchy {

std::vector<Variable> exit_losses(std::span<const Variable> logits,
                                  std::span<const std::int64_t> labels,
                                  const RecipeOptions& recipe) {
  std::vector<Variable> losses;
  losses.reserve(logits.size());
  const auto smoothing = static_cast<float>(recipe.label_smoothing);
  for (const Variable& exit : logits)
    losses.push_back(softmax_cross_entropy(exit, labels, smoothing));
  if (recipe.distill == 0.0) return losses;
  const auto weight = static_cast<float>(recipe.distill);
  const Tensor& teacher = logits.back().value();
  for (std::size_t i = 0; i + 1 < logits.size(); ++i) {
    const Variable distillation =
        distillation_loss(logits[i], teacher, static_cast<float>(recipe.distill_temperature));
    losses[i] = weighted_sum(std::vector<Variable>{losses[i], distillation},
                             std::vector<float>{1.0F - weight, weight});
  }
  return losses;
}

}  // namespace branchy
