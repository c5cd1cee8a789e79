#include "infer/policies/exit_view.h"

#include <algorithm>

#include "core/error.h"

namespace branchy {

namespace {

/// Normalised entropy of softmax(power * logits).
float softmax_entropy(std::span<const float> logits, float power) {
  if (logits.size() < 2) return 0.0F;
  const float largest = *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (const float logit : logits) sum += std::exp(power * (logit - largest));
  float entropy = 0;
  for (const float logit : logits) {
    const float p = std::exp(power * (logit - largest)) / sum;
    if (p != 0.0F) entropy -= p * std::log(p);
  }
  // Rounding must not lift equal probabilities above 1; std::min would lose a NaN.
  entropy /= std::log(static_cast<float>(logits.size()));
  return entropy > 1.0F ? 1.0F : entropy;
}

float second_largest(std::span<const float> logits, std::size_t largest) {
  float second = -INFINITY;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (i != largest) second = std::max(second, logits[i]);
  return second;
}

}  // namespace

ExitView make_exit_view(std::int64_t exit, std::span<const float> logits, float temperature,
                        std::span<float> scaled) {
  BRANCHY_DCHECK(scaled.size() == logits.size());
  ExitView view{.logits = scaled, .prediction = predict(exit, logits, temperature)};
  for (std::size_t i = 0; i < logits.size(); ++i) scaled[i] = logits[i] / temperature;
  if (!std::isfinite(view.prediction.confidence)) return view;
  view.entropy = softmax_entropy(scaled, 1.0F);
  // The second probability is the first times exp of the difference of their logits.
  const auto label = static_cast<std::size_t>(view.prediction.label);
  const float behind = second_largest(logits, label) - logits[label];
  view.margin = view.prediction.confidence * (1.0F - std::exp(behind / temperature));
  return view;
}

float entropy_of_squares(std::span<const float> logits) { return softmax_entropy(logits, 2.0F); }

}  // namespace branchy
