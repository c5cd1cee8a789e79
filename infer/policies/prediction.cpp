#include "infer/policies/prediction.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace branchy {

Prediction predict(std::int64_t exit, std::span<const float> logits, float temperature) {
  if (logits.empty()) throw ShapeError("[max probability] no scores; expected one per class");
  const auto largest = std::max_element(logits.begin(), logits.end());  // the first of equals
  float sum = 0;
  for (const float score : logits) sum += std::exp((score - *largest) / temperature);
  return {exit, largest - logits.begin(), 1.0F / sum};
}

const Prediction& most_confident(std::span<const Prediction> predictions) {
  if (predictions.empty()) throw Error("[max probability] no exit was computed yet");
  const Prediction* best = predictions.data();
  for (const Prediction& candidate : predictions)
    if (candidate.confidence > best->confidence || std::isnan(best->confidence)) best = &candidate;
  return *best;
}

}  // namespace branchy
