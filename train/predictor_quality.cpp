#include "train/predictor_quality.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace branchy {

namespace {

std::vector<float> column(const Tensor& table, std::int64_t index) {
  const auto columns = static_cast<std::size_t>(table.dim(1));
  std::vector<float> values;
  for (auto i = static_cast<std::size_t>(index); i < table.data().size(); i += columns)
    values.push_back(table.data()[i]);
  return values;
}

PredictorQuality quality_of(std::span<const float> scores, std::span<const float> targets) {
  constexpr double kFloor = 1e-7;
  const auto count = static_cast<double>(scores.size());
  PredictorQuality quality;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const bool one = targets[i] >= 0.5F;
    const double score = std::clamp(static_cast<double>(scores[i]), kFloor, 1.0 - kFloor);
    quality.share_of_ones += (one ? 1.0 : 0.0) / count;
    quality.cross_entropy -= std::log(one ? score : 1.0 - score) / count;
    quality.accuracy += ((scores[i] >= 0.5F) == one ? 1.0 : 0.0) / count;
  }
  quality.auroc = area_under_roc(scores, targets);
  return quality;
}

}  // namespace

std::vector<PredictorQuality> predictor_quality(const Tensor& scores, const Tensor& targets) {
  BRANCHY_DCHECK(scores.shape() == targets.shape() && scores.size() > 0);
  std::vector<PredictorQuality> result;
  result.reserve(static_cast<std::size_t>(scores.dim(1)));
  for (std::int64_t exit = 0; exit < scores.dim(1); ++exit)
    result.push_back(quality_of(column(scores, exit), column(targets, exit)));
  return result;
}

double area_under_roc(std::span<const float> scores, std::span<const float> targets) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  double ones = 0.0;
  double ranks_of_ones = 0.0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && scores[order[end]] == scores[order[begin]]) ++end;
    const double rank = 0.5 * static_cast<double>(begin + end + 1);  // mean of begin+1 .. end
    for (; begin < end; ++begin) {
      if (targets[order[begin]] < 0.5F) continue;
      ones += 1.0;
      ranks_of_ones += rank;
    }
  }
  const double zeros = static_cast<double>(scores.size()) - ones;
  if (ones == 0.0 || zeros == 0.0) return std::numeric_limits<double>::quiet_NaN();
  return (ranks_of_ones - ones * (ones + 1.0) / 2.0) / (ones * zeros);
}

}  // namespace branchy
