// PlanFront: every set of active exits with its best cut, and which of them are worth having.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "train/policy_simulation.h"
#include "train/split_plan.h"

namespace branchy {

/// More early exits make too many sets.
inline constexpr std::int64_t kMostPlannedExits = 12;

/// A set of active exits, the threshold that lets samples leave them, and the best cut for both.
struct PlannedSplit {
  std::vector<bool> active = {};
  float p_tar = 0;                      ///< without logits 0: nothing is known of it
  std::optional<double> accuracy = {};  ///< none without logits
  SplitPlan plan = {};
};

/// How samples leave a set of exits, on stored logits: policy `p-tar` with these exits active (its
/// fallback at the final exit included). Gives the accuracy beside.
struct RoutedSet {
  ActiveSet set;
  double accuracy = 0;
};
[[nodiscard]] RoutedSet route_active(const StoredExits& exits, const std::vector<bool>& active,
                                     float p_tar);
/// The same from probabilities: `leaves[n]` is the share that leaves early exit n+1 of those that
/// get there, whatever exits come before (Pacheco and Couto 2020).
[[nodiscard]] ActiveSet route_active(std::span<const double> leaves,
                                     const std::vector<bool>& active);

/// All sets of early exits by shortest path, for each of `p_tars`; without exits active `p_tar`
/// plays no part and the set is there once. Throws ConfigError beyond kMostPlannedExits.
[[nodiscard]] std::vector<PlannedSplit> plan_all(const SplitProblem& problem,
                                                 const StoredExits& exits,
                                                 std::span<const float> p_tars);
[[nodiscard]] std::vector<PlannedSplit> plan_all(const SplitProblem& problem,
                                                 std::span<const double> leaves);

/// Those that no other beats in time without losing accuracy, or in accuracy without losing time;
/// fastest first. Without accuracies the fastest. Of equals the first.
[[nodiscard]] std::vector<PlannedSplit> non_dominated(std::vector<PlannedSplit> plans);

}  // namespace branchy
