#include "train/policy_simulation.h"

#include <fmt/format.h>

#include "core/error.h"

namespace branchy {

namespace {

void require_temperatures(std::span<const float> temperatures, std::int64_t num_exits) {
  if (!temperatures.empty() && std::ssize(temperatures) != num_exits)
    throw ConfigError(fmt::format("[temperatures] {} values for {} exits; give one for each",
                                  temperatures.size(), num_exits));
  for (const float temperature : temperatures)
    if (!(temperature > 0.0F && std::isfinite(temperature)))
      throw ConfigError(
          fmt::format("[temperatures] {} is not positive; calibrate again", temperature));
}

void require_costs(const StoredExits& exits, const ExitPolicy& policy, const ExitCosts& costs) {
  if (costs.num_exits() != exits.num_exits() || costs.exit.size() != costs.trunk.size())
    throw ConfigError(fmt::format("[policy] costs of {} exits for logits of {}", costs.num_exits(),
                                  exits.num_exits()));
  if (policy.needs_scores() && !exits.has_scores())
    throw DataError(
        fmt::format("[policy '{}'] needs the scores of a predictor, the logits have "
                    "none; attach one and run `branchy infer-all` again",
                    policy.text()));
}

/// Sums up what a sample that stopped at `outcome.exit` has paid.
void count_operations(SampleOutcome& outcome, const ExitCosts& costs, bool uses_scores) {
  std::int64_t device = uses_scores ? costs.predictor : 0;
  std::int64_t server = 0;
  for (std::int64_t exit = 1; exit <= outcome.exit; ++exit) {
    const auto index = static_cast<std::size_t>(exit - 1);
    std::int64_t& side = exit <= costs.num_device_exits() ? device : server;
    side += costs.trunk[index];
    if (outcome.computes(exit)) side += costs.exit[index];
  }
  outcome.device_operations = device;
  outcome.total_operations = device + server;
  outcome.bytes_sent = outcome.exit > costs.num_device_exits() ? costs.feature_bytes : 0;
}

SampleOutcome simulate(const StoredExits& exits, std::int64_t sample, const ExitPolicy& policy,
                       const ExitCosts& costs, std::vector<ExitView>& seen) {
  const auto all = exits.views(sample);
  SampleContext context{.num_exits = exits.num_exits(), .scores = exits.scores(sample)};
  if (policy.looks_ahead()) context.all = all;
  SampleOutcome outcome;
  seen.clear();
  for (const ExitView& view : all) {
    const std::int64_t exit = view.prediction.exit;
    if (exit < exits.num_exits() && !policy.computes(exit, context)) continue;
    seen.push_back(view);
    outcome.computed |= std::uint64_t{1} << static_cast<unsigned>(exit - 1);
    const Decision decision = policy.decide(seen, context);
    if (decision.verdict == Verdict::kGoOn) continue;
    outcome.exit = exit;
    outcome.answer = decision.answer;
    outcome.dropped = decision.verdict == Verdict::kDrop;
    break;
  }
  BRANCHY_DCHECK(outcome.exit != 0);  // a policy never goes on from the final exit
  count_operations(outcome, costs, policy.needs_scores());
  return outcome;
}

}  // namespace

StoredExits::StoredExits(const LogitsCache& cache, std::span<const float> temperatures)
    : num_exits_(cache.num_exits()),
      num_classes_(cache.num_classes()),
      logits_(static_cast<std::size_t>(cache.num_samples() * num_exits_ * num_classes_)),
      labels_(cache.labels),
      scores_(cache.scores),
      costs_(cache.costs) {
  if (num_exits_ > kMostExits)
    throw ConfigError(fmt::format("[policy] {} exits, at most {}", num_exits_, kMostExits));
  require_temperatures(temperatures, num_exits_);
  const auto classes = static_cast<std::size_t>(num_classes_);
  views_.reserve(labels_.size() * cache.logits.size());
  for (std::size_t sample = 0; sample < labels_.size(); ++sample)
    for (std::size_t exit = 0; exit < cache.logits.size(); ++exit) {
      const auto raw = cache.logits[exit].data().subspan(sample * classes, classes);
      const std::span<float> scaled(&logits_[views_.size() * classes], classes);
      views_.push_back(make_exit_view(static_cast<std::int64_t>(exit) + 1, raw,
                                      temperatures.empty() ? 1.0F : temperatures[exit], scaled));
    }
}

std::span<const ExitView> StoredExits::views(std::int64_t sample) const {
  const auto exits = static_cast<std::size_t>(num_exits_);
  return std::span(views_).subspan(static_cast<std::size_t>(sample) * exits, exits);
}

std::span<const float> StoredExits::scores(std::int64_t sample) const {
  if (!scores_.defined()) return {};
  const auto early = static_cast<std::size_t>(num_exits_ - 1);
  return scores_.data().subspan(static_cast<std::size_t>(sample) * early, early);
}

std::vector<SampleOutcome> simulate_policy(const StoredExits& exits, const ExitPolicy& policy) {
  return simulate_policy(exits, policy, exits.costs());
}

std::vector<SampleOutcome> simulate_policy(const StoredExits& exits, const ExitPolicy& policy,
                                           const ExitCosts& costs) {
  require_costs(exits, policy, costs);
  std::vector<SampleOutcome> outcomes;
  outcomes.reserve(static_cast<std::size_t>(exits.num_samples()));
  std::vector<ExitView> seen;
  for (std::int64_t sample = 0; sample < exits.num_samples(); ++sample)
    outcomes.push_back(simulate(exits, sample, policy, costs, seen));
  return outcomes;
}

SampleOutcome simulate_sample(const StoredExits& exits, std::int64_t sample,
                              const ExitPolicy& policy, const ExitCosts& costs) {
  require_costs(exits, policy, costs);
  std::vector<ExitView> seen;
  return simulate(exits, sample, policy, costs, seen);
}

}  // namespace branchy
