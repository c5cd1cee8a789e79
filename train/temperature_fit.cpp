#include "train/temperature_fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "train/calibration_metrics.h"

namespace branchy {

namespace {

constexpr double kTolerance = 1e-10;  // of ln T
constexpr double kLargestStep = 1.0;  // of ln T
constexpr std::int64_t kMostIterations = 200;

/// Derivatives of the mean NLL with respect to 1/T.
struct Derivatives {
  double first = 0.0, second = 0.0;
};

Derivatives derivatives_at(const Tensor& logits, std::span<const std::int64_t> labels,
                           double log_temperature) {
  const double inverse = std::exp(-log_temperature);
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  Derivatives sum;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.data().subspan(i * classes, classes);
    const double largest = *std::max_element(row.begin(), row.end());
    double weights = 0.0;
    double first = 0.0;
    double second = 0.0;
    for (const float logit : row) {
      // Relative to the largest, so that the moments of confident rows do not cancel.
      const double z = static_cast<double>(logit) - largest;
      const double weight = std::exp(z * inverse);
      weights += weight;
      first += weight * z;
      second += weight * z * z;
    }
    const double mean = first / weights;
    sum.first += mean - (static_cast<double>(row[static_cast<std::size_t>(labels[i])]) - largest);
    sum.second += std::max(0.0, second / weights - mean * mean);
  }
  const auto count = static_cast<double>(labels.size());
  return {sum.first / count, sum.second / count};
}

}  // namespace

TemperatureFit fit_temperature(const Tensor& logits, std::span<const std::int64_t> labels) {
  TemperatureFit fit{.samples = std::ssize(labels)};
  fit.nll_before = fit.nll_after = negative_log_likelihood(logits, labels, 1.0);
  if (labels.size() < 2) return fit;
  fit.status = TemperatureFitStatus::kOneClass;
  if (std::all_of(labels.begin(), labels.end(), [&](auto label) { return label == labels[0]; }))
    return fit;

  double low = std::log(kLowestTemperature);
  double high = std::log(kHighestTemperature);
  // The slope over T has the sign opposite to the slope over 1/T; equal logits have none.
  fit.status = TemperatureFitStatus::kTooHigh;
  if (derivatives_at(logits, labels, high).first >= 0.0) return fit;
  fit.status = TemperatureFitStatus::kTooLow;
  if (derivatives_at(logits, labels, low).first <= 0.0) return fit;

  double t = 0.0;
  while (high - low >= kTolerance && fit.iterations < kMostIterations) {
    ++fit.iterations;
    const Derivatives at = derivatives_at(logits, labels, t);
    const double newton = at.first / (std::exp(-t) * at.second);  // infinite when flat
    if (at.first == 0.0 || std::abs(newton) < kTolerance) break;
    (at.first > 0.0 ? low : high) = t;
    t += std::clamp(newton, -kLargestStep, kLargestStep);
    if (!(t > low && t < high)) t = (low + high) / 2.0;
  }
  const double temperature = std::exp(t);
  const double nll = negative_log_likelihood(logits, labels, temperature);
  fit.status = TemperatureFitStatus::kNotLower;
  if (!(nll < fit.nll_before)) return fit;
  fit.status = TemperatureFitStatus::kFitted;
  fit.temperature = temperature;
  fit.nll_after = nll;
  return fit;
}

std::string describe(TemperatureFitStatus status) {
  switch (status) {
    case TemperatureFitStatus::kFitted:
      return "fitted";
    case TemperatureFitStatus::kTooFewSamples:
      return "fewer than 2 samples";
    case TemperatureFitStatus::kOneClass:
      return "all samples are of one class";
    case TemperatureFitStatus::kTooLow:
      return fmt::format("NLL falls down to {}: (nearly) all samples are right",
                         kLowestTemperature);
    case TemperatureFitStatus::kTooHigh:
      return fmt::format("NLL falls up to {}: the exit does not know these classes",
                         kHighestTemperature);
    case TemperatureFitStatus::kNotLower:
      return "NLL is lowest at 1 already";
  }
  return "";
}

}  // namespace branchy
