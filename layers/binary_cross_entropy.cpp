#include "layers/binary_cross_entropy.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "core/step_profile.h"

namespace branchy {

Variable binary_cross_entropy(const Variable& logits, const Tensor& targets) {
  const OwnedWork own("losses", "binary_cross_entropy");
  const TimedWork work(StepWork::kLoss);
  if (logits.shape() != targets.shape() || targets.size() == 0)
    throw ShapeError(fmt::format("[binary_cross_entropy] logits {} and targets {}, expected equal",
                                 logits.shape().to_string(), targets.shape().to_string()));
  const auto values = logits.value().data();
  const auto wanted_values = targets.data();
  const double scale = 1.0 / static_cast<double>(targets.size());
  Tensor diff(logits.shape());
  const auto gradient = diff.mutable_data();
  double loss = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double t = wanted_values[i];
    if (!(t >= 0.0 && t <= 1.0))
      throw DataError(fmt::format("[binary_cross_entropy] target {}, expected 0 to 1", t));
    const double x = values[i];
    const double small = std::exp(-std::abs(x));
    loss += std::max(x, 0.0) - x * t + std::log1p(small);
    const double sigmoid = x >= 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
    gradient[i] = static_cast<float>(scale * (sigmoid - t));
  }
  // d logits = (sigmoid - t) / count, computed with the loss.
  return record("binary_cross_entropy", Tensor::full(Shape{}, static_cast<float>(scale * loss)),
                {logits}, [diff](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{kernels::scale(diff, diff_dst.item())};
                });
}

}  // namespace branchy
