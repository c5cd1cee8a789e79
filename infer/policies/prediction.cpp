#include "infer/policies/prediction.h"

#include <fmt/core.h>

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

std::vector<Prediction> predict_all(std::int64_t exit, const Tensor& logits, float temperature) {
  if (!logits.defined() || logits.shape().rank() != 2)
    throw ShapeError(fmt::format("[max probability] scores are {}, expected [N, classes]",
                                 logits.defined() ? logits.shape().to_string() : "undefined"));
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  const auto values = logits.data();
  std::vector<Prediction> predictions;
  predictions.reserve(static_cast<std::size_t>(logits.dim(0)));
  for (std::size_t row = 0; row < static_cast<std::size_t>(logits.dim(0)); ++row)
    predictions.push_back(predict(exit, values.subspan(row * classes, classes), temperature));
  return predictions;
}

const Prediction& most_confident(std::span<const Prediction> predictions) {
  if (predictions.empty()) throw Error("[max probability] no exit was computed yet");
  const Prediction* best = predictions.data();
  for (const Prediction& candidate : predictions)
    if (candidate.confidence > best->confidence || std::isnan(best->confidence)) best = &candidate;
  return *best;
}

}  // namespace branchy
