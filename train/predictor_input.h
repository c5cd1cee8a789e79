// PredictorInput: what an exit predictor reads, computed from images.
#pragma once

#include <cstdint>
#include <optional>

#include "core/tensor.h"
#include "infer/exit_runner.h"
#include "layers/network.h"

namespace branchy {

/// The images themselves, or the value of the served network after its first trunk blocks, on the
/// lowered plan. The weights are copied.
class PredictorInput {
 public:
  /// `reads_after`: trunk blocks before the value; 0: the images.
  PredictorInput(const MultiExitNetwork& network, std::int64_t reads_after);

  /// images [N,3,H,W], normalised -> what the predictor reads, [N,...].
  [[nodiscard]] Tensor of(const Tensor& images);

 private:
  std::optional<ExitRunner> trunk_;
};

/// The configuration of a predictor of this kind for `network`: one score an early exit, and for
/// kFeaturePredictor the shape of the value after `reads_after` blocks. Throws ConfigError when the
/// network has no early exit; for other kinds when its images are not 3x32x32 or `reads_after` is
/// not 0; for kFeaturePredictor when `reads_after` lies outside 1 .. depth of exit 1, or the value
/// is no square of even size.
[[nodiscard]] NetworkConfig predictor_config(const MultiExitNetwork& network,
                                             const std::string& kind, std::int64_t reads_after);

}  // namespace branchy
