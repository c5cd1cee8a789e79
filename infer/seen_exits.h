// SeenExits: the exits computed so far for one sample, as an ExitPolicy looks at them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/policies/exit_policy.h"

namespace branchy {

/// Exits come in rising order. Owns what its views show; they hold until the next change.
class SeenExits {
 public:
  SeenExits() = default;
  SeenExits(const SeenExits& other);
  SeenExits& operator=(const SeenExits& other);
  SeenExits(SeenExits&&) noexcept = default;
  SeenExits& operator=(SeenExits&&) noexcept = default;
  ~SeenExits() = default;

  void clear();
  /// An exit computed here: its raw scores [classes] and its temperature.
  void add(std::int64_t exit, std::span<const float> logits, float temperature);
  /// An exit computed on the other side of a cut, of which only the prediction came.
  void add(const Prediction& prediction);

  [[nodiscard]] bool empty() const { return views_.empty(); }
  [[nodiscard]] std::span<const ExitView> views() const { return views_; }
  /// What each exit says, shallowest first.
  [[nodiscard]] std::vector<Prediction> predictions() const;
  /// The most confident exit, ties: the shallowest; Error when there is none.
  [[nodiscard]] Prediction most_confident() const;
  /// What exit `exit` says, or null when it was not computed.
  [[nodiscard]] const Prediction* find(std::int64_t exit) const;

 private:
  std::vector<ExitView> views_;
  std::vector<std::vector<float>> logits_;  // behind the views; moving a vector keeps its data
};

}  // namespace branchy
