#include "infer/seen_exits.h"

#include "core/error.h"

namespace branchy {

void SeenExits::clear() {
  views_.clear();
  logits_.clear();
}

void SeenExits::add(std::int64_t exit, std::span<const float> logits, float temperature) {
  BRANCHY_DCHECK(views_.empty() || views_.back().prediction.exit < exit);
  std::vector<float>& scaled = logits_.emplace_back(logits.size());
  views_.push_back(make_exit_view(exit, logits, temperature, scaled));
}

void SeenExits::add(const Prediction& prediction) {
  BRANCHY_DCHECK(views_.empty() || views_.back().prediction.exit < prediction.exit);
  views_.push_back({.prediction = prediction});
}

Prediction SeenExits::most_confident() const {
  std::vector<Prediction> predictions;
  predictions.reserve(views_.size());
  for (const ExitView& view : views_) predictions.push_back(view.prediction);
  return branchy::most_confident(predictions);
}

const Prediction* SeenExits::find(std::int64_t exit) const {
  for (const ExitView& view : views_)
    if (view.prediction.exit == exit) return &view.prediction;
  return nullptr;
}

}  // namespace branchy
