#include "train/logistic_regression.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace branchy {

namespace {

constexpr int kMaxIterations = 100;
constexpr double kTolerance = 1e-10;  // of the largest gradient

/// ln(1 + exp(x)) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

/// Standardised features with a 1 behind them: [n, d + 1]; what takes the weights back.
struct Design {
  std::size_t rows = 0, columns = 0;  // columns counts the 1
  std::vector<double> values, mean, scale;
};

Design standardise(std::span<const float> features, std::size_t rows, std::size_t d) {
  Design design{.rows = rows,
                .columns = d + 1,
                .values = std::vector<double>(rows * (d + 1), 1.0),
                .mean = std::vector<double>(d),
                .scale = std::vector<double>(d)};
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0.0;
    for (std::size_t i = 0; i < rows; ++i) sum += static_cast<double>(features[i * d + j]);
    if (!std::isfinite(sum))
      throw DataError(fmt::format("[logistic regression] feature {} is not finite", j + 1));
    const double mean = sum / static_cast<double>(rows);
    double squares = 0.0;
    for (std::size_t i = 0; i < rows; ++i)
      squares += std::pow(static_cast<double>(features[i * d + j]) - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(rows));
    // A feature that only rounding moves says nothing; 0 takes it out.
    const double scale = deviation > 1e-12 * (1.0 + std::abs(mean)) ? 1.0 / deviation : 0.0;
    design.mean[j] = mean;
    design.scale[j] = scale;
    for (std::size_t i = 0; i < rows; ++i)
      design.values[i * (d + 1) + j] = (static_cast<double>(features[i * d + j]) - mean) * scale;
  }
  return design;
}

double score(const Design& design, std::size_t row, std::span<const double> weights) {
  double sum = 0.0;
  for (std::size_t j = 0; j < design.columns; ++j)
    sum += design.values[row * design.columns + j] * weights[j];
  return sum;
}

double mean_loss(const Design& design, std::span<const std::uint8_t> targets,
                 std::span<const double> weights) {
  double loss = 0.0;
  for (std::size_t i = 0; i < design.rows; ++i) {
    const double s = score(design, i, weights);
    loss += softplus(targets[i] != 0 ? -s : s);
  }
  return loss / static_cast<double>(design.rows);
}

double penalty(std::span<const double> weights, double ridge) {
  double squares = 0.0;
  for (std::size_t j = 0; j + 1 < weights.size(); ++j) squares += weights[j] * weights[j];
  return ridge / 2.0 * squares;
}

/// Solves A x = b for a symmetric positive definite A [n, n], by Cholesky in place.
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(std::max(a[j * n + j], 1e-300));
    for (std::size_t i = j + 1; i < n; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

struct Derivatives {
  std::vector<double> gradient, hessian;
};

Derivatives derivatives(const Design& design, std::span<const std::uint8_t> targets,
                        std::span<const double> weights, double ridge) {
  const std::size_t n = design.columns;
  Derivatives result{std::vector<double>(n), std::vector<double>(n * n)};
  const double share = 1.0 / static_cast<double>(design.rows);
  for (std::size_t i = 0; i < design.rows; ++i) {
    const double p = 1.0 / (1.0 + std::exp(-score(design, i, weights)));
    const double* row = &design.values[i * n];
    const double error = (p - (targets[i] != 0 ? 1.0 : 0.0)) * share;
    const double curvature = std::max(p * (1.0 - p), 1e-12) * share;
    for (std::size_t j = 0; j < n; ++j) {
      result.gradient[j] += error * row[j];
      for (std::size_t k = 0; k <= j; ++k) result.hessian[j * n + k] += curvature * row[j] * row[k];
    }
  }
  for (std::size_t j = 0; j + 1 < n; ++j) {
    result.gradient[j] += ridge * weights[j];
    result.hessian[j * n + j] += ridge;
  }
  return result;
}

std::vector<double> minimise(const Design& design, std::span<const std::uint8_t> targets,
                             double ridge) {
  std::vector<double> weights(design.columns);
  double value = mean_loss(design, targets, weights);
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    const Derivatives at = derivatives(design, targets, weights, ridge);
    double largest = 0.0;
    for (const double slope : at.gradient) largest = std::max(largest, std::abs(slope));
    if (largest < kTolerance) break;
    const std::vector<double> step = solve(at.hessian, at.gradient);
    bool lower = false;
    for (double length = 1.0; length > 1e-9 && !lower; length /= 2.0) {
      std::vector<double> tried = weights;
      for (std::size_t j = 0; j < tried.size(); ++j) tried[j] -= length * step[j];
      const double there = mean_loss(design, targets, tried) + penalty(tried, ridge);
      lower = there < value;
      if (!lower) continue;
      weights = std::move(tried);
      value = there;
    }
    if (!lower) break;  // only rounding is left
  }
  return weights;
}

}  // namespace

LogisticModel fit_logistic(std::span<const float> features, std::span<const std::uint8_t> targets,
                           std::int64_t num_features, double ridge) {
  const auto d = static_cast<std::size_t>(num_features);
  if (!(ridge > 0.0) || !std::isfinite(ridge) || targets.empty() ||
      features.size() != targets.size() * d)
    throw Error(
        fmt::format("[logistic regression] {} values for {} targets of {} features, ridge "
                    "{}; expected one row a target and a ridge above 0",
                    features.size(), targets.size(), num_features, ridge));
  const auto yes = std::count_if(targets.begin(), targets.end(), [](auto t) { return t != 0; });
  if (yes == 0 || yes == std::ssize(targets))
    throw DataError(
        fmt::format("[logistic regression] {} of {} targets are yes; both kinds are "
                    "needed to tell them apart",
                    yes, targets.size()));
  const Design design = standardise(features, targets.size(), d);
  const std::vector<double> weights = minimise(design, targets, ridge);
  LogisticModel model{.weights = std::vector<double>(d),
                      .bias = weights[d],
                      .loss = mean_loss(design, targets, weights)};
  for (std::size_t j = 0; j < d; ++j) {
    model.weights[j] = weights[j] * design.scale[j];
    model.bias -= model.weights[j] * design.mean[j];
  }
  return model;
}

}  // namespace branchy
