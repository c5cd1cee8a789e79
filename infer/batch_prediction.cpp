#include "infer/batch_prediction.h"

#include <fmt/core.h>

#include "core/error.h"

namespace branchy {

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

}  // namespace branchy
