// 2-D convolution, cross-correlation form.
#pragma once

#include "core/dnn/convolution.h"
#include "layers/layer.h"
#include "layers/primitive_cache.h"

namespace branchy {

/// Square kernels; `groups` divides both channel counts (groups == in: depth-wise).
struct Conv2dParams {
  std::int64_t in = 0, out = 0, kernel = 1, stride = 1, padding = 0, groups = 1;
  bool bias = false;
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// src [N,C,H,W] -> [N,O,H',W'], H' = floor((H + 2 padding - kernel) / stride) + 1.
/// State: `weight` [O, C/groups, K, K], `bias` [O].
class Conv2d final : public Layer {
 public:
  static constexpr std::string_view kType = "conv2d";
  /// Weights start Kaiming-normal by fan-in (He et al. 2015, gain sqrt 2), the bias at 0.
  Conv2d(Conv2dParams params, Rng& rng);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  Channels take_channels(const Layer& full, const Channels& src) override;
  static std::vector<LayerCase> cases();

  [[nodiscard]] const Conv2dParams& params() const { return params_; }
  [[nodiscard]] const Variable& weight() const { return weight_; }

 private:
  Conv2dParams params_;
  Variable weight_, bias_;
  PrimitiveCache<dnn::Convolution> primitives_;
};

}  // namespace branchy
