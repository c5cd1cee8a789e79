// LatencyMethods: the ways to run a split network that Fig. 10 of Dong, Mao, Zhang 2022 compares.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/adapt_inputs.h"
#include "train/adaptation.h"

namespace branchy {

/// What the figure compares beside the inputs of `branchy adapt`.
struct MethodOptions {
  GridAxes axes = {};                     ///< of those that adapt, with gammas if there are scores
  std::vector<float> static_lambda = {};  ///< of the methods that do not adapt
  std::vector<float> static_gamma = {};   ///< of the one with predictor
  std::vector<AdaptMethod> adapt = {};    ///< of those that adapt
  double limit_ms = 30;                   ///< that they keep on the selection data
  std::vector<double> bandwidths = {};    ///< bit/s
  RegressionParams regression = {};
};

/// Backbone (trunk to the cut, then everything is sent; no exits), EE static, EE adaptive,
/// EE+oracle adaptive, and with scores EE+EP static and EE+EP adaptive; rows by method, then
/// bandwidth. `pruned` are inputs of the same network with smaller codes: EE adaptive that may also
/// send one of those, where that is more accurate under the limit. Adaptive methods are there once
/// for each AdaptMethod. Throws what Adaptation throws.
[[nodiscard]] std::vector<LatencyRow> compare_methods(
    const AdaptInputs& inputs, const std::vector<std::unique_ptr<AdaptInputs>>& pruned,
    const MethodOptions& options);

/// Rows of adaptive methods that break the limit by more than `tolerance` (0.03: 3 %): on the
/// selection data, or with `test` on test data. Lines for a person.
[[nodiscard]] std::vector<std::string> limit_violations(const std::vector<LatencyRow>& rows,
                                                        double limit_ms, double tolerance,
                                                        bool test);

}  // namespace branchy
