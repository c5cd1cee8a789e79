// ExitPolicy: decides, exit by exit, where a sample leaves and with which answer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "infer/policies/exit_view.h"

namespace branchy {

/// What is known of a sample beside the exits computed so far.
struct SampleContext {
  std::int64_t num_exits = 0;  ///< of the whole network, the final one included
  /// Scores of the Exit Predictor, one an early exit; empty without a predictor.
  std::span<const float> scores = {};
  /// All exits of the sample, shallowest first; only in evaluation on stored logits, for policies
  /// that look ahead (`looks_ahead()`).
  std::span<const ExitView> all = {};
};

enum class Verdict { kGoOn, kExit, kDrop };

struct Decision {
  Verdict verdict = Verdict::kGoOn;
  Prediction answer;  ///< unless kGoOn; `answer.exit` is the exit whose class is taken, which may
                      ///< lie before the one that was computed last
};

/// What `decide` looks at of the exits before the current one.
enum class PolicyMemory { kNone, kPredictions, kLogits };

/// A pure function of what it is given; thread-safe. The runner (PolicyRunner) and the evaluation
/// on stored logits call the same one, so both decide alike.
class ExitPolicy {
 public:
  virtual ~ExitPolicy() = default;

  /// What `parse_policy` takes, e.g. "max-probability:0.9+0.85".
  [[nodiscard]] virtual std::string text() const = 0;
  [[nodiscard]] virtual bool needs_scores() const { return false; }
  /// Whether it needs `SampleContext::all`: such a policy cannot be executed, only evaluated.
  [[nodiscard]] virtual bool looks_ahead() const { return false; }
  /// What a server behind a cut must be told of the exits before it. Logits do not travel.
  [[nodiscard]] virtual PolicyMemory memory() const { return PolicyMemory::kLogits; }
  /// Whether an early exit is computed when the sample gets there; skipping never stops a sample.
  /// The final exit is always computed by samples that get there.
  [[nodiscard]] virtual bool computes(std::int64_t /*exit*/,
                                      const SampleContext& /*sample*/) const {
    return true;
  }
  /// `seen`: the exits computed so far, shallowest first, the current one last; not empty. Never
  /// kGoOn at the final exit.
  [[nodiscard]] virtual Decision decide(std::span<const ExitView> seen,
                                        const SampleContext& sample) const = 0;
};

using PolicyPtr = std::shared_ptr<const ExitPolicy>;

}  // namespace branchy
