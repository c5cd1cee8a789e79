// What the tests of policies share: the exits of a sample, made by hand.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <span>
#include <vector>

#include "infer/policies/exit_policy.h"

namespace branchy::test {

/// The exits of one sample, from raw logits or probabilities. Exits count from 1.
class SampleExits {
 public:
  SampleExits& logits(const std::vector<float>& raw, float temperature = 1.0F) {
    auto& scaled = scaled_.emplace_back(raw.size());
    views_.push_back(make_exit_view(std::ssize(views_) + 1, raw, temperature, scaled));
    return *this;
  }
  /// A softmax over 10 classes in which `label` has about `confidence` and the others equal shares.
  SampleExits& sure(std::int64_t label, double confidence) {
    std::vector<float> raw(10, 0.0F);
    raw[static_cast<std::size_t>(label)] =
        static_cast<float>(std::log(9.0 * confidence / (1.0 - confidence)));
    return logits(raw);
  }

  [[nodiscard]] std::span<ExitView> views() { return views_; }
  [[nodiscard]] ExitView& operator[](std::size_t index) { return views_[index]; }

 private:
  std::deque<std::vector<float>> scaled_;  // the views point into them
  std::vector<ExitView> views_;
};

/// The exit at which the policy stops the sample, its decision and the exits that it computed.
struct Walk {
  std::int64_t exit = 0;
  Decision decision;
  std::vector<std::int64_t> computed;
};

[[nodiscard]] inline Walk walk(const ExitPolicy& policy, SampleExits& exits,
                               std::span<const float> scores = {}) {
  SampleContext context{.num_exits = std::ssize(exits.views()), .scores = scores};
  if (policy.looks_ahead()) context.all = exits.views();
  Walk result;
  std::vector<ExitView> seen;
  for (const ExitView& view : exits.views()) {
    const std::int64_t exit = view.prediction.exit;
    if (exit < context.num_exits && !policy.computes(exit, context)) continue;
    seen.push_back(view);
    result.computed.push_back(exit);
    result.decision = policy.decide(seen, context);
    if (result.decision.verdict == Verdict::kGoOn) continue;
    result.exit = exit;
    break;
  }
  return result;
}

}  // namespace branchy::test
