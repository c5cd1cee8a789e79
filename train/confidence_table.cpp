#include "train/confidence_table.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

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

ConfidenceTable confidence_table(const StoredExits& stored, bool with_scores) {
  const auto exits = static_cast<std::size_t>(stored.num_exits());
  ConfidenceTable table{.num_exits = stored.num_exits()};
  table.confidence.reserve(static_cast<std::size_t>(stored.num_samples()) * exits);
  table.correct.reserve(table.confidence.capacity());
  for (std::int64_t sample = 0; sample < stored.num_samples(); ++sample) {
    for (const ExitView& view : stored.views(sample)) {
      table.confidence.push_back(view.prediction.confidence);
      table.correct.push_back(view.prediction.label == stored.label(sample) ? 1 : 0);
    }
    if (!with_scores) continue;
    const auto scores = stored.scores(sample);
    table.scores.insert(table.scores.end(), scores.begin(), scores.end());
  }
  table.weight.assign(static_cast<std::size_t>(stored.num_samples()), 1);
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
