#include "train/gate_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "infer/policies/gate.h"
#include "train/flag_range.h"
#include "train/logistic_regression.h"
#include "train/policy_simulation.h"

namespace branchy {

namespace {

/// Records: SHA-256 of the logits that the gate was fitted to, and their subset.
constexpr std::string_view kFittedOn = "policy.gate.fitted_on";
constexpr std::string_view kFittedSubset = "policy.gate.fitted_subset";

/// -ln of the label's probability, from logits that are divided by the temperature.
double cross_entropy(const ExitView& view, std::int64_t label) {
  const float largest = view.logits[static_cast<std::size_t>(view.prediction.label)];
  double sum = 0.0;
  for (const float logit : view.logits) sum += std::exp(static_cast<double>(logit - largest));
  return std::log(sum) -
         static_cast<double>(view.logits[static_cast<std::size_t>(label)] - largest);
}

/// What leaving at each exit costs of a full run with all exits, 0..1.
std::vector<double> shares_of_operations(const ExitCosts& costs) {
  std::vector<double> shares;
  double sum = 0.0;
  for (std::size_t i = 0; i < costs.trunk.size(); ++i) {
    sum += static_cast<double>(costs.trunk[i] + costs.exit[i]);
    shares.push_back(sum);
  }
  for (double& share : shares) share /= sum;
  return shares;
}

/// Whether leaving at `exit` (from 0) costs no more than leaving at any deeper one.
bool leaving_is_cheapest(std::span<const ExitView> views, std::int64_t label, std::size_t exit,
                         std::span<const double> shares, double weight) {
  const double here = cross_entropy(views[exit], label) + weight * shares[exit];
  for (std::size_t deeper = exit + 1; deeper < views.size(); ++deeper)
    if (cross_entropy(views[deeper], label) + weight * shares[deeper] < here) return false;
  return true;
}

/// Features and targets of one early exit (from 0).
struct GateData {
  std::vector<float> features;
  std::vector<std::uint8_t> targets;
};

GateData collect(const StoredExits& exits, std::size_t exit, const GateFitOptions& options) {
  const auto shares = shares_of_operations(exits.costs());
  GateData data;
  for (std::int64_t sample = 0; sample < exits.num_samples(); ++sample) {
    const auto views = exits.views(sample);
    const std::int64_t label = exits.label(sample);
    const auto features = gate_features(views[exit]);
    data.features.insert(data.features.end(), features.begin(), features.end());
    const bool yes = options.target == "right"
                         ? views[exit].prediction.label == label
                         : leaving_is_cheapest(views, label, exit, shares, options.cost_weight);
    data.targets.push_back(yes ? 1 : 0);
  }
  return data;
}

}  // namespace

void GateFitOptions::validate() const {
  if (target != "right" && target != "cost")
    throw ConfigError(fmt::format("[gate] target '{}', expected right or cost", target));
  require_range("--gate-cost-weight", cost_weight, 0.0, kLargeFlag);
  require_range("--gate-ridge", ridge, 1e-12, kLargeFlag);
}

GateFit fit_gate(const PolicySamples& samples, std::span<const float> temperatures,
                 const GateFitOptions& options, PolicyRecords& records) {
  options.validate();
  const LogitsCache& cache = samples.cache;
  if (cache.num_exits() < 2)
    throw ConfigError("[gate] the network has no early exit that a gate could guard");
  const StoredExits exits(cache, temperatures);
  GateFit fit{.options = options};
  for (std::int64_t exit = 1; exit < exits.num_exits(); ++exit) {
    const GateData data = collect(exits, static_cast<std::size_t>(exit - 1), options);
    const std::int64_t yes = std::count(data.targets.begin(), data.targets.end(), 1);
    if (yes == 0 || yes == std::ssize(data.targets))
      throw DataError(fmt::format(
          "[gate] leaving at exit {} is the target of {} of {} samples; a gate needs both kinds",
          exit, yes, data.targets.size()));
    const LogisticModel model = fit_logistic(
        data.features, data.targets, static_cast<std::int64_t>(kGateFeatures), options.ridge);
    fit.yes.push_back(yes);
    fit.loss.push_back(model.loss);
    fit.weights.push_back(write_gate(records, exit, model.weights, model.bias));
  }
  records[std::string(kFittedOn)] = samples.digest;
  records[std::string(kFittedSubset)] = to_text(samples.subset);
  return fit;
}

void require_unseen_by_gate(const PolicySamples& samples, const PolicyRecords& records) {
  const auto digest = records.find(std::string(kFittedOn));
  const auto subset = records.find(std::string(kFittedSubset));
  if (digest == records.end() || subset == records.end() || digest->second != samples.digest)
    return;
  if (!overlap(parse_cache_subset(subset->second), samples.subset)) return;
  throw ConfigError(
      fmt::format("[gate] was fitted to samples {} of {}, which prove nothing about it; fit it "
                  "with --subset 1/2 "
                  "--out FILE, then choose with --subset 2/2",
                  subset->second, samples.path.string()));
}

}  // namespace branchy
