#include "infer/seen_exits.h"

#include "core/error.h"

namespace branchy {

SeenExits::SeenExits(const SeenExits& other) : views_(other.views_), logits_(other.logits_) {
  // Views of exits computed elsewhere have no logits, and the others' lie in order.
  std::size_t next = 0;
  for (ExitView& view : views_)
    if (!view.logits.empty()) view.logits = logits_[next++];
}

SeenExits& SeenExits::operator=(const SeenExits& other) { return *this = SeenExits(other); }

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

std::vector<Prediction> SeenExits::predictions() const {
  std::vector<Prediction> predictions;
  predictions.reserve(views_.size());
  for (const ExitView& view : views_) predictions.push_back(view.prediction);
  return predictions;
}

Prediction SeenExits::most_confident() const { return branchy::most_confident(predictions()); }

const Prediction* SeenExits::find(std::int64_t exit) const {
  for (const ExitView& view : views_)
    if (view.prediction.exit == exit) return &view.prediction;
  return nullptr;
}

}  // namespace branchy
