#include "train/confidence_table.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "infer/policies/max_probability.h"

namespace branchy {

namespace {

/// The largest of the rising `thresholds` that is not above `value`; below all of them -1.
float threshold_below(float value, std::span<const float> thresholds) {
  const auto above = std::upper_bound(thresholds.begin(), thresholds.end(), value);
  return above == thresholds.begin() ? -1.0F : *std::prev(above);
}

std::vector<float> sorted(std::span<const float> values) {
  std::vector<float> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

}  // namespace

std::int64_t ConfidenceTable::num_samples() const {
  return std::accumulate(weight.begin(), weight.end(), std::int64_t{0});
}

ConfidenceTable confidence_table(const LogitsCache& cache, std::span<const float> temperatures,
                                 bool with_scores) {
  const auto rows = static_cast<std::size_t>(cache.num_samples());
  const auto exits = static_cast<std::size_t>(cache.num_exits());
  const auto classes = static_cast<std::size_t>(cache.num_classes());
  ConfidenceTable table{.num_exits = cache.num_exits(),
                        .confidence = std::vector<float>(rows * exits),
                        .correct = std::vector<std::uint8_t>(rows * exits),
                        .weight = std::vector<std::int64_t>(rows, 1)};
  std::vector<float> scaled(classes);
  for (std::size_t exit = 0; exit < exits; ++exit) {
    const auto logits = cache.logits[exit].data();
    const float temperature = temperatures.empty() ? 1.0F : temperatures[exit];
    for (std::size_t row = 0; row < rows; ++row) {
      const auto one = logits.subspan(row * classes, classes);
      std::transform(one.begin(), one.end(), scaled.begin(),
                     [&](float logit) { return logit / temperature; });
      const Prediction prediction = predict(static_cast<std::int64_t>(exit) + 1, scaled);
      table.confidence[row * exits + exit] = prediction.confidence;
      table.correct[row * exits + exit] = prediction.label == cache.labels[row] ? 1 : 0;
    }
  }
  if (with_scores) {
    const auto scores = cache.scores.data();
    table.scores.assign(scores.begin(), scores.end());
  }
  return table;
}

ConfidenceTable grouped(const ConfidenceTable& table, std::span<const float> lambdas,
                        std::span<const float> gammas) {
  const std::vector<float> levels = sorted(lambdas), score_levels = sorted(gammas);
  const auto exits = static_cast<std::size_t>(table.num_exits);
  const std::size_t early = exits - 1;
  std::map<std::pair<std::vector<float>, std::vector<std::uint8_t>>, std::int64_t> groups;
  for (std::size_t row = 0; row < table.weight.size(); ++row) {
    std::vector<float> values;
    std::vector<std::uint8_t> correct;
    for (std::size_t exit = 0; exit < exits; ++exit) {
      values.push_back(exit < early ? threshold_below(table.confidence[row * exits + exit], levels)
                                    : 0.0F);  // nobody asks the final exit's
      correct.push_back(table.correct[row * exits + exit]);
    }
    if (!table.scores.empty())
      for (std::size_t exit = 0; exit < early; ++exit)
        values.push_back(threshold_below(table.scores[row * early + exit], score_levels));
    groups[{std::move(values), std::move(correct)}] += table.weight[row];
  }
  ConfidenceTable result{.num_exits = table.num_exits};
  for (const auto& [key, weight] : groups) {
    const auto& [values, correct] = key;
    const auto scores_begin = values.begin() + table.num_exits;
    result.confidence.insert(result.confidence.end(), values.begin(), scores_begin);
    result.scores.insert(result.scores.end(), scores_begin, values.end());
    result.correct.insert(result.correct.end(), correct.begin(), correct.end());
    result.weight.push_back(weight);
  }
  return result;
}

}  // namespace branchy
