// Batch normalisation over the channels of images, optionally with an activation fused to it.
#pragma once

#include <optional>

#include "core/kernels/batch_norm.h"
#include "layers/layer.h"

namespace branchy {

struct BatchNorm2dParams {
  std::int64_t channels = 0;
  float epsilon = 1e-5F;
  float momentum = 0.1F;  ///< new running value = (1 - momentum) old + momentum batch
  float initial_scale = 1.0F;
  /// ReLU or ReLU6 of the result, in the same passes over memory.
  std::optional<ActivationKind> activation = {};
  /// Throws ConfigError naming the value out of range, or for another activation.
  void validate() const;
};

/// Ioffe, Szegedy 2015. src [N,C,H,W]. In training it normalises by the batch (biased variance) and
/// moves the running statistics (unbiased variance); in evaluation by the running statistics.
/// State: `weight`, `bias`, buffers `running_mean`, `running_var`, all [C].
class BatchNorm2d final : public Layer {
 public:
  static constexpr std::string_view kType = "batch_norm2d";
  explicit BatchNorm2d(BatchNorm2dParams params);

  [[nodiscard]] std::string_view type() const override;
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  Channels take_channels(const Layer& full, const Channels& src) override;
  static std::vector<LayerCase> cases();

  // For operations that take the normalisation into their own passes over memory.
  [[nodiscard]] const Variable& weight() const { return weight_; }
  [[nodiscard]] const Variable& bias() const { return bias_; }
  [[nodiscard]] kernels::BatchNormParams kernel_params() const;
  /// What evaluation normalises by; a copy while recording, for a later training pass may move the
  /// statistics before backward runs.
  [[nodiscard]] kernels::BatchNormStatistics running_statistics() const;
  /// Moves them towards those of a batch of shape `src` [N,C,H,W]. Throws ShapeError for a batch of
  /// one value a channel.
  void update_running_statistics(const kernels::BatchNormStatistics& batch, const Shape& src);

 private:
  BatchNorm2dParams params_;
  Variable weight_, bias_, running_mean_, running_var_;
};

}  // namespace branchy
