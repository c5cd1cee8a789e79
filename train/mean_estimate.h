// MeanEstimate: the mean of values that come one by one, with its 95 % confidence interval.
#pragma once

#include <cstdint>

namespace branchy {

/// Mean and variance by Welford's recurrence (Technometrics 4, 1962).
class MeanEstimate {
 public:
  void add(double value);

  [[nodiscard]] std::int64_t count() const { return count_; }
  /// NaN of nothing.
  [[nodiscard]] double mean() const;
  /// Of the sample, divisor n - 1; NaN below two values.
  [[nodiscard]] double standard_deviation() const;
  /// The interval is mean +- this: q s / sqrt(n) with q the 97.5 % quantile of the normal
  /// distribution, 1.96; below 30 values of Student's t with n - 1 degrees of freedom. NaN below
  /// two values.
  [[nodiscard]] double half_width_95() const;

 private:
  std::int64_t count_ = 0;
  double mean_ = 0.0, squares_ = 0.0;
};

/// The factor q above for `count` >= 2 values.
[[nodiscard]] double quantile_95(std::int64_t count);

}  // namespace branchy
