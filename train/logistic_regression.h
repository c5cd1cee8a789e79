// Logistic regression: the probability of a yes as a linear function of a few features.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace branchy {

/// P(yes) = sigmoid(weights . features + bias).
struct LogisticModel {
  std::vector<double> weights;
  double bias = 0.0;
  double loss = 0.0;  ///< mean negative log likelihood of what it was fitted to, without the ridge
};

/// Minimises mean NLL + ridge / 2 * |w|^2, w being the weights of the standardised features (zero
/// mean, unit variance) and the bias free, by Newton's method with step halving (iteratively
/// reweighted least squares; Hastie, Tibshirani and Friedman, "The Elements of Statistical
/// Learning", 4.4.1). `features` is [targets.size(), num_features] row by row; a constant feature
/// gets weight 0. The model is in terms of the features as given. Throws Error unless ridge > 0 and
/// the sizes agree, DataError when all targets are alike or a feature is not finite.
[[nodiscard]] LogisticModel fit_logistic(std::span<const float> features,
                                         std::span<const std::uint8_t> targets,
                                         std::int64_t num_features, double ridge);

}  // namespace branchy
