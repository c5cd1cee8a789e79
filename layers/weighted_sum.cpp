#include "layers/weighted_sum.h"

#include <fmt/core.h>

#include "core/error.h"
#include "core/step_profile.h"

namespace branchy {

Variable weighted_sum(std::span<const Variable> losses, std::span<const float> weights) {
  const OwnedWork own("losses", "weighted_sum");
  const TimedWork work(StepWork::kLoss);
  if (losses.size() != weights.size())
    throw ShapeError(fmt::format("[weighted_sum] {} losses and {} weights; give one weight an exit",
                                 losses.size(), weights.size()));
  float sum = 0.0F;
  for (std::size_t i = 0; i < losses.size(); ++i) sum += weights[i] * losses[i].value().item();
  return record("weighted_sum", Tensor::full(Shape{}, sum),
                std::vector<Variable>(losses.begin(), losses.end()),
                [factors = std::vector<float>(weights.begin(), weights.end())](
                    const Tensor& diff_dst, Wanted /*wanted*/) {
                  std::vector<Tensor> diffs;
                  diffs.reserve(factors.size());
                  for (const float factor : factors)
                    diffs.push_back(Tensor::full(Shape{}, factor * diff_dst.item()));
                  return diffs;
                });
}

}  // namespace branchy
