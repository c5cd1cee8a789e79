// FrozenTrunk: the frozen first blocks of a network, computed on the lowered plan.
#pragma once

#include <cstdint>
#include <vector>

#include "infer/exit_runner.h"
#include "layers/network.h"

namespace branchy {

/// Gives what the trained rest of a network reads, without gradients and as fast as the serving
/// programs are. The weights are copied: they are frozen.
class FrozenTrunk {
 public:
  /// `network.frozen().blocks` is above 0.
  explicit FrozenTrunk(const MultiExitNetwork& network);
  /// For who reads the values at other `depths`: numbers of trunk blocks, rising, above 0.
  FrozenTrunk(const MultiExitNetwork& network, const std::vector<std::int64_t>& depths);

  /// Of the values for one image: [1,C,H,W] each, in the order of `network.feature_depths()` or
  /// `depths`.
  [[nodiscard]] const std::vector<Shape>& shapes() const { return shapes_; }
  /// The values for images [N,3,H,W], row-major.
  [[nodiscard]] std::vector<Tensor> compute(const Tensor& images);

 private:
  std::vector<ExitRunner> pieces_;  // from one depth to the next
  std::vector<Shape> shapes_;
};

}  // namespace branchy
