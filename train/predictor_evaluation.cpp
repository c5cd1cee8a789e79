#include "train/predictor_evaluation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "infer/policies/policy_text.h"
#include "train/predictor_training.h"
#include "train/table_rows.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

ordered_json object_of(const PolicyOutcome& outcome) {
  return {{"policy", outcome.policy},
          {"accuracy", outcome.accuracy},
          {"last_share", outcome.last_share},
          {"device_operations", outcome.device_operations}};
}

}  // namespace

PolicyOutcome outcome_of(const StoredExits& exits, const std::string& policy) {
  const PolicyPtr parsed = parse_policy(policy, exits.num_exits());
  const auto outcomes = simulate_policy(exits, *parsed);
  std::int64_t correct = 0, last = 0, operations = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const SampleOutcome& outcome = outcomes[i];
    correct += outcome.answer.label == exits.label(static_cast<std::int64_t>(i)) ? 1 : 0;
    last += outcome.exit == exits.num_exits() ? 1 : 0;
    operations += outcome.device_operations;
  }
  const auto samples = static_cast<double>(outcomes.size());
  return {.policy = parsed->text(),
          .accuracy = static_cast<double>(correct) / samples,
          .last_share = static_cast<double>(last) / samples,
          .device_operations = static_cast<double>(operations) / samples};
}

std::string plain_policy(std::span<const float> thresholds) {
  return fmt::format("max-probability:{}", fmt::join(thresholds, "+"));
}

std::string predictor_policy(std::span<const float> thresholds, std::span<const float> gamma) {
  return fmt::format("predictor:{},gamma={}", fmt::join(thresholds, "+"), fmt::join(gamma, "+"));
}

std::string oracle_policy(std::span<const float> thresholds) {
  return fmt::format("oracle:{}", fmt::join(thresholds, "+"));
}

PredictedExits predicted_exits(const StoredExits& exits, std::span<const float> thresholds) {
  if (!exits.has_scores())
    throw DataError(
        "[predictor] the logits have no scores; run `branchy infer-all` on a model "
        "with a predictor");
  const Shape shape{exits.num_samples(), exits.num_exits() - 1};
  PredictedExits result{.scores = Tensor(shape),
                        .confidences = Tensor(shape),
                        .thresholds = {thresholds.begin(), thresholds.end()},
                        .costs = exits.costs()};
  auto score = result.scores.mutable_data().begin();
  auto confidence = result.confidences.mutable_data().begin();
  for (std::int64_t sample = 0; sample < exits.num_samples(); ++sample) {
    score = std::ranges::copy(exits.scores(sample), score).out;
    for (std::int64_t exit = 0; exit < shape[1]; ++exit)
      *confidence++ = exits.views(sample)[static_cast<std::size_t>(exit)].prediction.confidence;
  }
  return result;
}

bool PredictorEvaluation::keeps_promise() const {
  constexpr double kLoss = 0.001;
  constexpr double kRounding = 1e-9;  // of shares that are multiples of 1 / samples
  return saved() > 0.0 && accuracy_gain() >= -kLoss - kRounding &&
         growth() < kGammaGrowth - kRounding;
}

PredictorEvaluation evaluate_predictor(const StoredExits& exits,
                                       const std::vector<float>& thresholds,
                                       const std::vector<float>& gamma) {
  const PredictedExits predicted = predicted_exits(exits, thresholds);
  return {.samples = exits.num_samples(),
          .quality = predictor_quality(predicted.scores,
                                       predictor_targets(predicted.confidences, thresholds)),
          .without = outcome_of(exits, plain_policy(thresholds)),
          .with = outcome_of(exits, predictor_policy(thresholds, gamma)),
          .oracle = outcome_of(exits, oracle_policy(thresholds))};
}

std::string to_json(const PolicyOutcome& outcome) { return object_of(outcome).dump(); }

std::string to_json(const PredictorEvaluation& e) {
  ordered_json json{{"samples", e.samples},
                    {"without", object_of(e.without)},
                    {"with", object_of(e.with)},
                    {"oracle", object_of(e.oracle)},
                    {"saved", e.saved()},
                    {"last_share_growth", e.growth()},
                    {"accuracy_gain", e.accuracy_gain()},
                    {"keeps_promise", e.keeps_promise()}};
  for (const PredictorQuality& quality : e.quality)
    json["exits"].push_back(
        {{"share_of_ones", quality.share_of_ones},
         {"cross_entropy", quality.cross_entropy},
         {"accuracy", quality.accuracy},
         {"auroc", std::isnan(quality.auroc) ? ordered_json() : ordered_json(quality.auroc)}});
  return json.dump();
}

LogitsCache take_samples(const LogitsCache& cache, std::span<const std::int64_t> positions) {
  std::map<std::int64_t, std::int64_t> row_of;
  for (std::size_t row = 0; row < cache.indices.size(); ++row)
    row_of[cache.indices[row]] = static_cast<std::int64_t>(row);
  std::vector<std::int64_t> rows;
  rows.reserve(positions.size());
  LogitsCache taken = cache;
  taken.labels.clear();
  taken.indices.clear();
  for (const std::int64_t position : positions) {
    const auto found = row_of.find(position);
    if (found == row_of.end())
      throw DataError(fmt::format(
          "[logits] sample {} of the selection images is not among the {} of the cache; run "
          "`branchy infer-all` on the whole part",
          position, cache.indices.size()));
    rows.push_back(found->second);
    taken.labels.push_back(cache.labels[static_cast<std::size_t>(found->second)]);
    taken.indices.push_back(position);
  }
  for (Tensor& logits : taken.logits) logits = take_rows(logits, rows);
  if (taken.scores.defined()) taken.scores = take_rows(taken.scores, rows);
  return taken;
}

}  // namespace branchy
