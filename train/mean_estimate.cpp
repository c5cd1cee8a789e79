#include "train/mean_estimate.h"

#include <cmath>
#include <iterator>
#include <limits>

namespace branchy {

namespace {

constexpr double kNormal = 1.96;
/// 97.5 % quantiles of Student's t with 1 to 28 degrees of freedom (tables of R. A. Fisher).
constexpr double kStudent[] = {12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912,
                               2.364624,  2.306004, 2.262157, 2.228139, 2.200985, 2.178813,
                               2.160369,  2.144787, 2.131450, 2.119905, 2.109816, 2.100922,
                               2.093024,  2.085963, 2.079614, 2.073873, 2.068658, 2.063899,
                               2.059539,  2.055529, 2.051831, 2.048407};

}  // namespace

double quantile_95(std::int64_t count) {
  const auto degrees = static_cast<std::size_t>(count - 1);
  return degrees <= std::size(kStudent) ? kStudent[degrees - 1] : kNormal;
}

void MeanEstimate::add(double value) {
  ++count_;
  const double before = value - mean_;
  mean_ += before / static_cast<double>(count_);
  squares_ += before * (value - mean_);
}

double MeanEstimate::mean() const {
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN() : mean_;
}

double MeanEstimate::standard_deviation() const {
  return count_ < 2 ? std::numeric_limits<double>::quiet_NaN()
                    : std::sqrt(squares_ / static_cast<double>(count_ - 1));
}

double MeanEstimate::half_width_95() const {
  return count_ < 2
             ? std::numeric_limits<double>::quiet_NaN()
             : quantile_95(count_) * standard_deviation() / std::sqrt(static_cast<double>(count_));
}

}  // namespace branchy
