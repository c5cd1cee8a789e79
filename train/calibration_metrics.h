// How well confidences match what they claim: calibration errors, proper scores, ranking.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace branchy {

/// The largest softmax probability of every sample and whether its class is right. Softmax of
/// logits / T in double; the class is the lowest index of the largest raw logit, so that no
/// temperature changes it.
struct Confidences {
  std::vector<double> confidence;  ///< (0, 1]
  std::vector<double> correct;     ///< 0 or 1
};

/// `logits` [N, classes], one label a row, `temperature` > 0.
[[nodiscard]] Confidences confidences(const Tensor& logits, std::span<const std::int64_t> labels,
                                      double temperature);

/// Bins of every reliability diagram and of ECE (Guo et al. use 15).
inline constexpr std::int64_t kReliabilityBins = 15;

/// Samples with a confidence in (low, high].
struct ReliabilityBin {
  double low = 0.0, high = 0.0;
  std::int64_t samples = 0;
  double confidence = 0.0, accuracy = 0.0;  ///< means; NaN without samples
};
/// Bins of equal width over 0..1.
[[nodiscard]] std::vector<ReliabilityBin> reliability_bins(const Confidences& data,
                                                           std::int64_t count = kReliabilityBins);

// Every measure below is NaN without samples. Where an order of confidences matters, samples of
// equal confidence count with the mean of their correctness, so that the order of the data does
// not.

/// Expected calibration error: sum over bins of equal width of (n_b / N) |accuracy - confidence|.
/// Guo et al., "On Calibration of Modern Neural Networks", 2017, eq. 5.
[[nodiscard]] double expected_calibration_error(const Confidences& data,
                                                std::int64_t bins = kReliabilityBins);
/// The same over bins of equal mass: bin b holds the samples b N/B to (b+1) N/B in the order of
/// their confidence. Nguyen and O'Connor, "Posterior calibration and exploratory analysis for
/// natural language processing models", 2015; Nixon et al., "Measuring Calibration in Deep
/// Learning", 2019.
[[nodiscard]] double adaptive_calibration_error(const Confidences& data,
                                                std::int64_t bins = kReliabilityBins);
/// Area under the ROC curve of confidence as a predictor of correctness: the probability that a
/// right sample is more confident than a wrong one, ties counting half (Mann-Whitney U by
/// mid-ranks). NaN when all are right or all are wrong.
[[nodiscard]] double confidence_auroc(const Confidences& data);
/// Area under the risk-coverage curve: the mean over n = 1..N of the error rate of the n most
/// confident samples. Geifman and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural
/// Classifiers", 2019.
[[nodiscard]] double risk_coverage_area(const Confidences& data);

/// Mean of -ln p(label), natural logarithm.
[[nodiscard]] double negative_log_likelihood(const Tensor& logits,
                                             std::span<const std::int64_t> labels,
                                             double temperature);
/// Mean of sum over classes of (p - [class is label])^2, in 0..2. Brier, "Verification of forecasts
/// expressed in terms of probability", 1950.
[[nodiscard]] double brier_score(const Tensor& logits, std::span<const std::int64_t> labels,
                                 double temperature);

/// All of it for one exit at one temperature.
struct CalibrationMetrics {
  double temperature = 1.0;
  std::int64_t samples = 0;
  double accuracy = 0.0, confidence = 0.0;  ///< means of all samples, 0..1
  double nll = 0.0, ece = 0.0, adaptive_ece = 0.0, brier = 0.0, auroc = 0.0, aurc = 0.0;
  std::vector<ReliabilityBin> bins;
};
/// N may be 0. Throws ShapeError unless `logits` is [N, classes] with one label a row, DataError
/// for a label outside the classes, ConfigError for a temperature that is not above 0.
[[nodiscard]] CalibrationMetrics calibration_metrics(const Tensor& logits,
                                                     std::span<const std::int64_t> labels,
                                                     double temperature);

}  // namespace branchy
