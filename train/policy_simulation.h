// Policies on stored logits: the same decisions as on a running network, without the network.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/exit_costs.h"
#include "infer/policies/exit_policy.h"
#include "infer/sample_outcome.h"
#include "train/logits_cache.h"

namespace branchy {

/// All that policies look at, computed once from a logits cache; sweeps then cost comparisons.
/// Immutable and safe to share between threads; movable, not copyable (views point inside).
class StoredExits {
 public:
  /// `temperatures`: positive, one an exit, or none for 1 (`cache.temperatures` are those that the
  /// model had). Throws ConfigError for another count or value, and for more exits than kMostExits.
  StoredExits(const LogitsCache& cache, std::span<const float> temperatures);
  StoredExits(StoredExits&&) noexcept = default;
  StoredExits& operator=(StoredExits&&) noexcept = default;
  StoredExits(const StoredExits&) = delete;
  StoredExits& operator=(const StoredExits&) = delete;
  ~StoredExits() = default;

  [[nodiscard]] std::int64_t num_samples() const { return std::ssize(labels_); }
  [[nodiscard]] std::int64_t num_exits() const { return num_exits_; }
  [[nodiscard]] std::int64_t num_classes() const { return num_classes_; }
  /// Samples count from 0 in the order of the cache. Every exit's view, shallowest first.
  [[nodiscard]] std::span<const ExitView> views(std::int64_t sample) const;
  /// Of the Exit Predictor, one an early exit; empty when the cache has none.
  [[nodiscard]] std::span<const float> scores(std::int64_t sample) const;
  [[nodiscard]] std::int64_t label(std::int64_t sample) const {
    return labels_[static_cast<std::size_t>(sample)];
  }
  [[nodiscard]] bool has_scores() const { return scores_.defined(); }
  [[nodiscard]] const ExitCosts& costs() const { return costs_; }

 private:
  std::int64_t num_exits_, num_classes_;
  std::vector<float> logits_;    ///< [sample][exit][class], divided by the temperatures
  std::vector<ExitView> views_;  ///< [sample][exit]
  std::vector<std::int64_t> labels_;
  Tensor scores_;
  ExitCosts costs_;
};

/// What becomes of every sample under `policy`, which was made for as many exits.
///
/// 1. Device operations of a sample: the predictor if the policy needs scores, every trunk piece up
///    to where it stops or to the last early exit, and the early exits that were computed. This is
///    eq. 3 and 4 of Dong et al. 2022. The total adds the server's trunk piece and final exit.
/// 2. A sample that leaves the device sends `costs.feature_bytes`.
/// 3. Thread-safe; the outcomes are those that PolicyRunner finds by running the network.
///
/// `costs`: those of the cache unless others are given (a codec's bytes, a pruned network's
/// operations). Throws DataError when the policy needs scores and the cache has none.
[[nodiscard]] std::vector<SampleOutcome> simulate_policy(const StoredExits& exits,
                                                         const ExitPolicy& policy);
[[nodiscard]] std::vector<SampleOutcome> simulate_policy(const StoredExits& exits,
                                                         const ExitPolicy& policy,
                                                         const ExitCosts& costs);
/// The same for one sample.
[[nodiscard]] SampleOutcome simulate_sample(const StoredExits& exits, std::int64_t sample,
                                            const ExitPolicy& policy, const ExitCosts& costs);

}  // namespace branchy
