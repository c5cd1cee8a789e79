// The 2-point rule: how gamma, the score that makes an exit worth computing, is chosen (Dong, Mao,
// Zhang 2022, Fig. 7).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "infer/exit_costs.h"

namespace branchy {

/// Of N samples and the early exits.
struct PredictedExits {
  Tensor scores;                  ///< [N, early exits] of the predictor, 0..1
  Tensor confidences;             ///< [N, early exits]
  std::vector<float> thresholds;  ///< lambda of each early exit
  ExitCosts costs;
};

struct DeviceOutcome {
  double last_share = 0.0;         ///< of samples that no early exit accepts
  double device_operations = 0.0;  ///< mean by sample, convention ptflops
};

/// Eq. 3: every early exit that a sample gets to is computed.
[[nodiscard]] DeviceOutcome outcome_without_predictor(const PredictedExits& exits);
/// Eq. 4: exit n is computed if s_n >= gamma_n, then accepts if c_n >= lambda_n; every sample pays
/// for the predictor.
[[nodiscard]] DeviceOutcome outcome_with_predictor(const PredictedExits& exits,
                                                   std::span<const float> gamma);

/// 0, 0.05, ..., 1; 0 always computes the exit.
[[nodiscard]] std::vector<float> gamma_grid();

struct GammaChoice {
  std::vector<float> gamma;  ///< of each early exit
  DeviceOutcome without, with;
};

/// "2 % additional samples at the last exit", read as points of share.
inline constexpr double kGammaGrowth = 0.02;

/// Among the vectors of the grid for which `last_share` grows by less than `max_growth` over
/// outcome_without_predictor(): the one with the fewest device operations; of equals the one with
/// the smaller share, then the first in lexicographic order. gamma = 0 always qualifies. All
/// vectors are looked at for up to five early exits; for more, one exit after the other is improved
/// from 0 until none can be. Throws ConfigError unless `max_growth` is above 0.
[[nodiscard]] GammaChoice choose_gamma(const PredictedExits& exits,
                                       double max_growth = kGammaGrowth);

}  // namespace branchy
