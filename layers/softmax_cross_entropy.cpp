#include "layers/softmax_cross_entropy.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "core/step_profile.h"

namespace branchy {

namespace {

void check(const Shape& logits, std::span<const std::int64_t> labels, float smoothing) {
  if (logits.rank() != 2 || logits[0] != static_cast<std::int64_t>(labels.size()))
    throw ShapeError(fmt::format("[cross_entropy] logits {} for {} labels, expected [{},classes]",
                                 logits.to_string(), labels.size(), labels.size()));
  if (!(smoothing >= 0.0F && smoothing < 1.0F))
    throw ConfigError(
        fmt::format("[cross_entropy] label smoothing {}, expected 0 <= s < 1", smoothing));
  for (const std::int64_t label : labels)
    if (label < 0 || label >= logits[1])
      throw DataError(fmt::format("[cross_entropy] label {}, the network has classes 0 to {}",
                                  label, logits[1] - 1));
}

}  // namespace

Variable softmax_cross_entropy(const Variable& logits, std::span<const std::int64_t> labels,
                               float label_smoothing) {
  const OwnedWork own("losses", "softmax_cross_entropy");
  const TimedWork work(StepWork::kLoss);
  check(logits.shape(), labels, label_smoothing);
  const auto classes = static_cast<std::size_t>(logits.shape()[1]);
  const auto values = logits.value().data();
  const double off = static_cast<double>(label_smoothing) / static_cast<double>(classes);
  const double on = 1.0 - static_cast<double>(label_smoothing) + off;
  const double scale = 1.0 / static_cast<double>(labels.size());
  Tensor diff(logits.shape());
  const auto gradient = diff.mutable_data();
  double loss = 0.0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const auto row = values.subspan(n * classes, classes);
    const double max = *std::max_element(row.begin(), row.end());
    double sum = 0.0;
    for (const float value : row) sum += std::exp(static_cast<double>(value) - max);
    const double log_sum = max + std::log(sum);
    for (std::size_t k = 0; k < classes; ++k) {
      const double target = static_cast<std::int64_t>(k) == labels[n] ? on : off;
      const double log_p = static_cast<double>(row[k]) - log_sum;
      if (target > 0.0) loss -= target * log_p;
      gradient[n * classes + k] = static_cast<float>(scale * (std::exp(log_p) - target));
    }
  }
  // d logits = (softmax - q) / N, computed with the loss.
  return record("softmax_cross_entropy", Tensor::full(Shape{}, static_cast<float>(scale * loss)),
                {logits}, [diff](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{kernels::scale(diff, diff_dst.item())};
                });
}

}  // namespace branchy
