#include "train/calibration_metrics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "infer/policies/prediction.h"

namespace branchy {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double mean(double sum, std::size_t count) {
  return count == 0 ? kNone : sum / static_cast<double>(count);
}

void require_rows(const Tensor& logits, std::span<const std::int64_t> labels, double temperature) {
  if (!logits.defined() || logits.shape().rank() != 2 || logits.dim(0) != std::ssize(labels))
    throw ShapeError(fmt::format("[calibration metrics] logits are {}, expected [{}, classes]",
                                 logits.defined() ? logits.shape().to_string() : "undefined",
                                 labels.size()));
  if (!(temperature > 0.0 && std::isfinite(temperature)))
    throw ConfigError(
        fmt::format("[calibration metrics] temperature {}, expected above 0", temperature));
  for (const std::int64_t label : labels)
    if (label < 0 || label >= logits.dim(1))
      throw DataError(fmt::format("[calibration metrics] label {}, expected 0 to {}", label,
                                  logits.dim(1) - 1));
}

/// One sample: its raw logits and, softened, the logarithm of its softmax's denominator after the
/// maximum was taken out: ln p_k = (z_k - largest) / T - log_sum.
struct Row {
  std::span<const float> logits;
  std::size_t label = 0;
  double temperature = 1.0, largest = 0.0, log_sum = 0.0;

  [[nodiscard]] double log_probability(std::size_t of_class) const {
    return (static_cast<double>(logits[of_class]) - largest) / temperature - log_sum;
  }
};

void for_each_row(const Tensor& logits, std::span<const std::int64_t> labels, double temperature,
                  const std::function<void(const Row&)>& look) {
  require_rows(logits, labels, temperature);
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    Row row{.logits = logits.data().subspan(i * classes, classes),
            .label = static_cast<std::size_t>(labels[i]),
            .temperature = temperature};
    row.largest = *std::max_element(row.logits.begin(), row.logits.end());
    double sum = 0.0;
    for (const float logit : row.logits)
      sum += std::exp((static_cast<double>(logit) - row.largest) / temperature);
    row.log_sum = std::log(sum);
    look(row);
  }
}

/// By rising confidence; samples of equal confidence carry the mean of their correctness.
Confidences sorted(const Confidences& data) {
  std::vector<std::size_t> order(data.confidence.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return data.confidence[a] < data.confidence[b]; });
  Confidences result;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    double correct = 0.0;
    const double confidence = data.confidence[order[begin]];
    for (; end < order.size() && data.confidence[order[end]] == confidence; ++end)
      correct += data.correct[order[end]];
    result.confidence.insert(result.confidence.end(), end - begin, confidence);
    result.correct.insert(result.correct.end(), end - begin, mean(correct, end - begin));
    begin = end;
  }
  return result;
}

}  // namespace

Confidences confidences(const Tensor& logits, std::span<const std::int64_t> labels,
                        double temperature) {
  Confidences data;
  for_each_row(logits, labels, temperature, [&](const Row& row) {
    // The largest term of the sum is exp(0).
    data.confidence.push_back(std::exp(-row.log_sum));
    data.correct.push_back(
        predict(1, row.logits).label == static_cast<std::int64_t>(row.label) ? 1.0 : 0.0);
  });
  return data;
}

std::vector<ReliabilityBin> reliability_bins(const Confidences& data, std::int64_t count) {
  if (count < 1) throw ConfigError(fmt::format("[reliability bins] {} bins", count));
  std::vector<double> edges;  // the upper ones
  std::vector<ReliabilityBin> bins;
  for (std::int64_t b = 0; b < count; ++b) {
    const auto edge = [&](std::int64_t of) {
      return static_cast<double>(of) / static_cast<double>(count);
    };
    edges.push_back(edge(b + 1));
    bins.push_back({.low = edge(b), .high = edge(b + 1)});
  }
  for (std::size_t i = 0; i < data.confidence.size(); ++i) {
    const auto edge = std::lower_bound(edges.begin(), edges.end() - 1, data.confidence[i]);
    ReliabilityBin& bin = bins[static_cast<std::size_t>(edge - edges.begin())];
    ++bin.samples;
    bin.confidence += data.confidence[i];
    bin.accuracy += data.correct[i];
  }
  for (ReliabilityBin& bin : bins) {
    bin.confidence = mean(bin.confidence, static_cast<std::size_t>(bin.samples));
    bin.accuracy = mean(bin.accuracy, static_cast<std::size_t>(bin.samples));
  }
  return bins;
}

double expected_calibration_error(const Confidences& data, std::int64_t bins) {
  double sum = 0.0;
  for (const ReliabilityBin& bin : reliability_bins(data, bins))
    if (bin.samples > 0)
      sum += static_cast<double>(bin.samples) * std::abs(bin.accuracy - bin.confidence);
  return mean(sum, data.confidence.size());
}

double adaptive_calibration_error(const Confidences& data, std::int64_t bins) {
  if (bins < 1) throw ConfigError(fmt::format("[adaptive calibration error] {} bins", bins));
  const Confidences rising = sorted(data);
  const std::size_t total = rising.confidence.size();
  const auto count = static_cast<std::size_t>(bins);
  double sum = 0.0;
  for (std::size_t b = 0; b < count; ++b) {
    double gap = 0.0;  // n_b (accuracy - confidence)
    for (std::size_t i = b * total / count; i < (b + 1) * total / count; ++i)
      gap += rising.correct[i] - rising.confidence[i];
    sum += std::abs(gap);
  }
  return mean(sum, total);
}

double confidence_auroc(const Confidences& data) {
  const Confidences rising = sorted(data);
  const std::size_t total = rising.confidence.size();
  const double right = std::accumulate(data.correct.begin(), data.correct.end(), 0.0);
  const double wrong = static_cast<double>(total) - right;
  if (right == 0.0 || wrong == 0.0) return kNone;
  double rank_sum = 0.0;  // of the right ones
  for (std::size_t begin = 0; begin < total;) {
    std::size_t end = begin;
    while (end < total && rising.confidence[end] == rising.confidence[begin]) ++end;
    // Ranks begin + 1 to end share their mean.
    const double rank = static_cast<double>(begin + 1 + end) / 2.0;
    rank_sum += rank * rising.correct[begin] * static_cast<double>(end - begin);
    begin = end;
  }
  return (rank_sum - right * (right + 1.0) / 2.0) / (right * wrong);
}

double risk_coverage_area(const Confidences& data) {
  const Confidences rising = sorted(data);
  double errors = 0.0;
  double sum = 0.0;
  double covered = 0.0;
  for (std::size_t i = rising.correct.size(); i-- > 0;) {
    errors += 1.0 - rising.correct[i];
    sum += errors / ++covered;
  }
  return mean(sum, rising.correct.size());
}

double negative_log_likelihood(const Tensor& logits, std::span<const std::int64_t> labels,
                               double temperature) {
  double sum = 0.0;
  for_each_row(logits, labels, temperature,
               [&](const Row& row) { sum -= row.log_probability(row.label); });
  return mean(sum, labels.size());
}

double brier_score(const Tensor& logits, std::span<const std::int64_t> labels, double temperature) {
  double sum = 0.0;
  for_each_row(logits, labels, temperature, [&](const Row& row) {
    for (std::size_t k = 0; k < row.logits.size(); ++k) {
      const double gap = std::exp(row.log_probability(k)) - (k == row.label ? 1.0 : 0.0);
      sum += gap * gap;
    }
  });
  return mean(sum, labels.size());
}

CalibrationMetrics calibration_metrics(const Tensor& logits, std::span<const std::int64_t> labels,
                                       double temperature) {
  const Confidences data = confidences(logits, labels, temperature);
  const auto sum = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
  };
  return {.temperature = temperature,
          .samples = std::ssize(labels),
          .accuracy = mean(sum(data.correct), labels.size()),
          .confidence = mean(sum(data.confidence), labels.size()),
          .nll = negative_log_likelihood(logits, labels, temperature),
          .ece = expected_calibration_error(data),
          .adaptive_ece = adaptive_calibration_error(data),
          .brier = brier_score(logits, labels, temperature),
          .auroc = confidence_auroc(data),
          .aurc = risk_coverage_area(data),
          .bins = reliability_bins(data)};
}

}  // namespace branchy
