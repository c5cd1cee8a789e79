#include "train/plan_front.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <string>

#include "core/error.h"
#include "infer/policies/policy_text.h"

namespace branchy {

namespace {

std::vector<std::int64_t> numbers(const std::vector<bool>& active) {
  std::vector<std::int64_t> exits;
  for (std::size_t i = 0; i < active.size(); ++i)
    if (active[i]) exits.push_back(static_cast<std::int64_t>(i) + 1);
  return exits;
}

/// Every set of `count` exits, none first.
void for_each_set(std::size_t count, const std::function<void(const std::vector<bool>&)>& visit) {
  if (static_cast<std::int64_t>(count) > kMostPlannedExits)
    throw ConfigError(fmt::format("[plan] {} early exits, at most {}", count, kMostPlannedExits));
  for (std::size_t bits = 0; bits < (std::size_t{1} << count); ++bits) {
    std::vector<bool> active(count);
    for (std::size_t i = 0; i < count; ++i) active[i] = (bits >> i & 1U) != 0;
    visit(active);
  }
}

}  // namespace

RoutedSet route_active(const StoredExits& exits, const std::vector<bool>& active, float p_tar) {
  const auto early = static_cast<std::size_t>(exits.num_exits() - 1);
  const std::vector<std::int64_t> chosen = numbers(active);
  const std::string list = chosen.empty() ? "none" : fmt::format("{}", fmt::join(chosen, "+"));
  const PolicyPtr policy =
      parse_policy(fmt::format("p-tar:{},active={}", p_tar, list), exits.num_exits());
  const auto outcomes = simulate_policy(exits, *policy);
  std::vector<std::int64_t> left(early + 1, 0);
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < exits.num_samples(); ++i) {
    const SampleOutcome& outcome = outcomes[static_cast<std::size_t>(i)];
    ++left[static_cast<std::size_t>(outcome.exit - 1)];
    if (outcome.answer.label == exits.label(i)) ++correct;
  }
  const auto samples = static_cast<double>(exits.num_samples());
  RoutedSet routed{.set = {.active = active}, .accuracy = static_cast<double>(correct) / samples};
  std::int64_t going_on = exits.num_samples();
  for (const std::int64_t count : left) {
    routed.set.going_on.push_back(static_cast<double>(going_on) / samples);
    going_on -= count;
  }
  return routed;
}

ActiveSet route_active(std::span<const double> leaves, const std::vector<bool>& active) {
  if (leaves.size() != active.size())
    throw ConfigError(fmt::format("[plan] {} exit probabilities for {} early exits", leaves.size(),
                                  active.size()));
  ActiveSet set{.active = active};
  double going_on = 1.0;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (!(leaves[i] >= 0.0 && leaves[i] <= 1.0))
      throw ConfigError(fmt::format("[plan] exit probability {}, expected 0 to 1", leaves[i]));
    set.going_on.push_back(going_on);
    if (active[i]) going_on *= 1.0 - leaves[i];
  }
  set.going_on.push_back(going_on);
  return set;
}

std::vector<PlannedSplit> plan_all(const SplitProblem& problem, const StoredExits& exits,
                                   std::span<const float> p_tars) {
  problem.validate();
  if (p_tars.empty()) throw ConfigError("[plan] no p_tar, expected one at least");
  std::vector<PlannedSplit> plans;
  for_each_set(problem.exits.size(), [&](const std::vector<bool>& active) {
    const bool none = numbers(active).empty();
    for (const float p_tar : none ? p_tars.first(1) : p_tars) {
      const RoutedSet routed = route_active(exits, active, p_tar);
      plans.push_back({.active = active,
                       .p_tar = p_tar,
                       .accuracy = routed.accuracy,
                       .plan = shortest_split(problem, routed.set)});
    }
  });
  return plans;
}

std::vector<PlannedSplit> plan_all(const SplitProblem& problem, std::span<const double> leaves) {
  problem.validate();
  std::vector<PlannedSplit> plans;
  for_each_set(problem.exits.size(), [&](const std::vector<bool>& active) {
    plans.push_back(
        {.active = active, .plan = shortest_split(problem, route_active(leaves, active))});
  });
  return plans;
}

std::vector<PlannedSplit> non_dominated(std::vector<PlannedSplit> plans) {
  std::stable_sort(plans.begin(), plans.end(), [](const PlannedSplit& a, const PlannedSplit& b) {
    if (a.plan.mean_ms != b.plan.mean_ms) return a.plan.mean_ms < b.plan.mean_ms;
    return a.accuracy.value_or(0.0) > b.accuracy.value_or(0.0);
  });
  std::vector<PlannedSplit> front;
  for (PlannedSplit& plan : plans)
    if (front.empty() || plan.accuracy.value_or(0.0) > front.back().accuracy.value_or(0.0))
      front.push_back(std::move(plan));
  return front;
}

}  // namespace branchy
