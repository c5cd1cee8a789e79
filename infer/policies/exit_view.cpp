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

}  // namespace

ExitView make_exit_view(std::int64_t exit, std::span<const float> logits, float temperature,
                        std::span<float> scaled) {
  BRANCHY_DCHECK(scaled.size() == logits.size());
  ExitView view{.logits = scaled, .prediction = predict(exit, logits, temperature)};
  const auto label = static_cast<std::size_t>(view.prediction.label);
  // With z = logits / temperature and e = exp(z - z[label]): p = e / sum(e), and
  // -sum(p ln p) = ln(sum(e)) - sum(e (z - z[label])) / sum(e).
  float sum = 0, product = 0, second = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    scaled[i] = logits[i] / temperature;
    const float z = (logits[i] - logits[label]) / temperature;
    const float e = std::exp(z);
    sum += e;
    if (e != 0.0F) product += e * z;  // 0 ln 0 counts as 0
    if (i != label) second = std::max(second, e);
  }
  if (!std::isfinite(view.prediction.confidence)) return view;
  view.margin = view.prediction.confidence * (1.0F - second);
  view.entropy = 0;
  if (logits.size() < 2) return view;
  const float entropy =
      (std::log(sum) - product / sum) / std::log(static_cast<float>(logits.size()));
  view.entropy = std::min(entropy, 1.0F);  // rounding must not lift equal probabilities above 1
  return view;
}

float entropy_of_squares(std::span<const float> logits) { return softmax_entropy(logits, 2.0F); }

}  // namespace branchy
