#include "layers/distillation_loss.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "core/step_profile.h"

namespace branchy {

namespace {

/// ln softmax(row / temperature).
void log_softmax(std::span<const float> row, double temperature, std::vector<double>& result) {
  const double max = *std::max_element(row.begin(), row.end());
  double sum = 0.0;
  for (const float value : row) sum += std::exp((static_cast<double>(value) - max) / temperature);
  const double log_sum = std::log(sum);
  for (std::size_t k = 0; k < row.size(); ++k)
    result[k] = (static_cast<double>(row[k]) - max) / temperature - log_sum;
}

}  // namespace

Variable distillation_loss(const Variable& logits, const Tensor& teacher, float temperature) {
  const OwnedWork own("losses", "distillation_loss");
  const TimedWork work(StepWork::kLoss);
  if (logits.shape() != teacher.shape() || teacher.shape().rank() != 2 || teacher.size() == 0)
    throw ShapeError(fmt::format("[distillation] logits {} and teacher {}, expected equal [N,K]",
                                 logits.shape().to_string(), teacher.shape().to_string()));
  if (!(temperature > 0.0F && std::isfinite(temperature)))
    throw ConfigError(
        fmt::format("[distillation] temperature {}, expected a positive number", temperature));
  const auto classes = static_cast<std::size_t>(teacher.dim(1));
  const auto rows = static_cast<std::size_t>(teacher.dim(0));
  const double t = temperature;
  const double scale = 1.0 / static_cast<double>(rows);
  std::vector<double> log_p(classes), log_q(classes);
  Tensor diff(logits.shape());
  const auto gradient = diff.mutable_data();
  double loss = 0.0;
  for (std::size_t n = 0; n < rows; ++n) {
    log_softmax(teacher.data().subspan(n * classes, classes), t, log_p);
    log_softmax(logits.value().data().subspan(n * classes, classes), t, log_q);
    for (std::size_t k = 0; k < classes; ++k) {
      const double p = std::exp(log_p[k]);
      if (p > 0.0) loss += p * (log_p[k] - log_q[k]);
      gradient[n * classes + k] = static_cast<float>(scale * t * (std::exp(log_q[k]) - p));
    }
  }
  // d logits = T^2 (softmax(logits / T) - p) / (T N), computed with the loss.
  return record("distillation_loss",
                Tensor::full(Shape{}, static_cast<float>(scale * t * t * loss)), {logits},
                [diff](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{kernels::scale(diff, diff_dst.item())};
                });
}

}  // namespace branchy
