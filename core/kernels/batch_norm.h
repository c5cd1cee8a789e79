// Batch normalisation with the activation behind it, for training, in blocks of channels.
#pragma once

#include <optional>

#include "core/plan_builder.h"
#include "core/tensor.h"

namespace branchy::kernels {

/// y = activation((x - mean) / sqrt(variance + epsilon) * scale + shift). The activation is ReLU
/// or ReLU6. It is applied, and its gradient masked, in passes over memory that the normalisation
/// makes anyway: what it costs is nothing beside the bandwidth.
struct BatchNormParams {
  Tensor scale, shift;  ///< [C]
  float epsilon = 1e-5F;
  std::optional<ActivationKind> activation = {};
};

/// All of shape [C]; the variance is the biased one.
struct BatchNormStatistics {
  Tensor mean, variance;
};

/// The statistics of src [N,C,H,W] and dst normalised by them. Sums are taken image by image in an
/// order of their own, so the bits do not depend on the number of threads.
struct BatchNormResult {
  Tensor dst;
  BatchNormStatistics statistics;
};
[[nodiscard]] BatchNormResult batch_norm(const Tensor& src, const BatchNormParams& params);
/// dst normalised by given statistics.
[[nodiscard]] Tensor batch_norm_with(const Tensor& src, const BatchNormParams& params,
                                     const BatchNormStatistics& statistics);

/// Whether the statistics come from the source, and so are differentiated, or are constants.
enum class StatisticsOf { kSource, kConstant };

struct BatchNormGradients {
  Tensor src, scale, shift;
};
/// Overwrites `diff_dst` when nobody else holds it.
[[nodiscard]] BatchNormGradients batch_norm_backward(Tensor diff_dst, const Tensor& src,
                                                     const BatchNormParams& params,
                                                     const BatchNormStatistics& statistics,
                                                     StatisticsOf of);

}  // namespace branchy::kernels
