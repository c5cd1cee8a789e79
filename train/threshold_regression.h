// ThresholdRegression: small networks that turn a bandwidth into thresholds.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "layers/sequential.h"
#include "train/threshold_setting.h"

namespace branchy {

/// The best setting found for a bandwidth.
struct BandwidthLabel {
  double bits_per_second = 0;
  ThresholdSetting setting;
};

struct RegressionParams {
  std::int64_t hidden = 32;  ///< width between the two layers
  std::int64_t steps = 2000;
  float rate = 0.01F;  ///< of Adam, falling to 0 along a cosine
  std::uint64_t seed = 1;
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// One network of two fully connected layers for each decade of bandwidth with two labels or more
/// (Dong, Mao, Zhang 2022, section V-C: 0.1-1, 1-10 and 10-100 Mbit/s). Hidden width and loss are
/// not published; here ReLU between the layers, sigmoid behind them so that thresholds stay in
/// 0..1, the mean squared error of all thresholds, and as input the logarithm of the bandwidth,
/// scaled so that the decade is -1..1. A label at the border of two decades serves both.
class ThresholdRegression {
 public:
  /// Labels in any order, all with the same number of thresholds. Throws ConfigError for a
  /// bandwidth that is not positive, or when no decade has two labels.
  ThresholdRegression(std::span<const BandwidthLabel> labels, const RegressionParams& params);
  /// Whether these bandwidths give a network to every decade from the lowest to the highest.
  [[nodiscard]] static bool is_trainable(std::span<const double> bandwidths);

  /// Thresholds rounded to 4 decimals, so that their text is the same number. Throws ConfigError
  /// for a bandwidth outside the decades that were trained on.
  [[nodiscard]] ThresholdSetting at(double bits_per_second) const;
  /// Square root of the mean squared error over the labels of all networks.
  [[nodiscard]] double root_mean_square_error() const { return rmse_; }

 private:
  struct Decade {
    double low = 0, high = 0;  ///< log10 of bit/s
    std::unique_ptr<Sequential> network;
  };
  [[nodiscard]] const Decade* decade_of(double bits_per_second) const;

  std::vector<Decade> decades_;
  ThresholdSetting kind_;  ///< of the labels: which thresholds there are
  double rmse_ = 0;
};

}  // namespace branchy
