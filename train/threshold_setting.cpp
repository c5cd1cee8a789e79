#include "train/threshold_setting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace branchy {

namespace {

void require_fit(const ConfidenceTable& table, const ThresholdSetting& setting) {
  const auto early = static_cast<std::size_t>(table.num_exits - 1);
  const bool lambdas_fit = setting.lambda.size() == early;
  const bool gammas_fit = setting.gamma.empty() || setting.gamma.size() == early;
  if (!lambdas_fit || !gammas_fit)
    throw ConfigError(
        fmt::format("[thresholds] {} do not fit {} early exits", policy_text(setting), early));
  if (!setting.gamma.empty() && table.scores.empty())
    throw ConfigError(
        fmt::format("[thresholds] {} needs predictor scores, the logits have none; run `branchy "
                    "infer-all` on a model with a predictor",
                    policy_text(setting)));
}

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// Sum of weight times value over the device's parts, per sample.
template <typename Values>
double mean_over(const RouteCounts& counts, const Values& trunk, const Values& exit) {
  double sum = 0;
  for (std::size_t i = 0; i < counts.reached.size(); ++i)
    sum += static_cast<double>(counts.reached[i]) * static_cast<double>(trunk[i]) +
           static_cast<double>(counts.computed[i]) * static_cast<double>(exit[i]);
  return sum / static_cast<double>(counts.samples);
}

RouteCounts empty_counts(std::size_t early) {
  return {.reached = std::vector<std::int64_t>(early, 0),
          .computed = std::vector<std::int64_t>(early, 0)};
}

}  // namespace

std::string policy_text(const ThresholdSetting& setting) {
  const char* name = setting.oracle          ? "oracle"
                     : setting.gamma.empty() ? "max-probability"
                                             : "predictor";
  std::string text = fmt::format("{}:{}", name, fmt::join(setting.lambda, "+"));
  if (!setting.gamma.empty()) text += fmt::format(",gamma={}", fmt::join(setting.gamma, "+"));
  return text;
}

double RouteCounts::accuracy() const { return ratio(correct, samples); }
double RouteCounts::sent_share() const { return ratio(sent, samples); }

double RouteCounts::device_ms(const PartTimes& parts) const {
  return mean_over(*this, parts.trunk, parts.exit) + (scored ? parts.predictor : 0.0);
}

double RouteCounts::device_operations(const ExitCosts& costs) const {
  return mean_over(*this, costs.trunk, costs.exit) +
         (scored ? static_cast<double>(costs.predictor) : 0.0);
}

RouteCounts count_routes(const ConfidenceTable& table, const ThresholdSetting& setting) {
  require_fit(table, setting);
  const auto exits = static_cast<std::size_t>(table.num_exits);
  const std::size_t early = exits - 1;
  RouteCounts counts = empty_counts(early);
  counts.scored = !setting.gamma.empty();
  for (std::size_t row = 0; row < table.weight.size(); ++row) {
    const float* confidence = table.confidence.data() + row * exits;
    const float* scores = counts.scored ? table.scores.data() + row * early : nullptr;
    const std::int64_t weight = table.weight[row];
    std::size_t exit = 0;
    for (; exit < early; ++exit) {
      counts.reached[exit] += weight;
      const bool sure = confidence[exit] >= setting.lambda[exit];
      const bool computes = setting.oracle ? sure : !scores || scores[exit] >= setting.gamma[exit];
      if (!computes) continue;
      counts.computed[exit] += weight;
      if (sure) break;
    }
    if (exit == early) counts.sent += weight;
    if (table.correct[row * exits + exit] != 0) counts.correct += weight;
    counts.samples += weight;
  }
  return counts;
}

RouteCounts count_backbone(const ConfidenceTable& table) {
  const auto exits = static_cast<std::size_t>(table.num_exits);
  RouteCounts counts = empty_counts(exits - 1);
  for (std::size_t row = 0; row < table.weight.size(); ++row) {
    counts.samples += table.weight[row];
    if (table.correct[row * exits + exits - 1] != 0) counts.correct += table.weight[row];
  }
  counts.sent = counts.samples;
  counts.reached.assign(exits - 1, counts.samples);
  return counts;
}

}  // namespace branchy
