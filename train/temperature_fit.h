// Temperature of softmax by maximum likelihood.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/tensor.h"

namespace branchy {

/// A temperature outside is no estimate: the data say nothing, or say it without bound.
inline constexpr double kLowestTemperature = 0.01, kHighestTemperature = 100.0;

enum class TemperatureFitStatus {
  kFitted,
  kTooFewSamples,  ///< none or one
  kOneClass,       ///< all labels are the same: the fit would learn how common the class is
  kTooLow,         ///< NLL falls to kLowestTemperature; to 0 when every sample is right
  kTooHigh,        ///< NLL falls to kHighestTemperature; to infinity when the labels' logits are on
                   ///< average no larger than the others, as when every sample is clearly wrong
  kNotLower,       ///< NLL at the minimum is no lower than at temperature 1
};

struct TemperatureFit {
  double temperature = 1.0;  ///< stays 1 unless kFitted
  TemperatureFitStatus status = TemperatureFitStatus::kTooFewSamples;
  std::int64_t samples = 0;
  double nll_before = 0.0, nll_after = 0.0;  ///< at 1 and at `temperature`; NaN without samples
  std::int64_t iterations = 0;
};

/// The T that minimises the mean negative log-likelihood of softmax(logits / T) (Guo et al., "On
/// Calibration of Modern Neural Networks", 2017, section 4.2). `logits` [N, classes] are raw and
/// finite, one label a row; a sample may stand there once for each of several exits.
///
/// NLL is convex in b = 1/T: dNLL/db = mean(E_p[z] - z_label) rises, d2NLL/db2 = mean(Var_p[z]).
/// Newton's method finds the root of the first derivative in t = ln T, where its step is
/// dt = NLL' / (b NLL''), at most 1, inside a bracket that every step narrows; a step that leaves
/// the bracket is replaced by its middle. All in double; done when |dt| < 1e-10. Throws ShapeError
/// unless `logits` is [N, classes] with N labels.
[[nodiscard]] TemperatureFit fit_temperature(const Tensor& logits,
                                             std::span<const std::int64_t> labels);

/// "fitted", or why the temperature stays 1, in a few words.
[[nodiscard]] std::string describe(TemperatureFitStatus status);

}  // namespace branchy
