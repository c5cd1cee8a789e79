// The basic residual block of CIFAR ResNets (He et al. 2016).
#pragma once

#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/layer.h"
#include "layers/subsample.h"

namespace branchy {

/// Where the shape changes: a 1x1 convolution with the stride and BN (option B of He et al.), or
/// pixels left out and zero channels on both sides, without parameters (option A).
enum class Shortcut { kProjection, kOptionA };

struct ResidualBlockParams {
  std::int64_t in = 0, out = 0, stride = 1;
  Shortcut shortcut = Shortcut::kProjection;
  std::int64_t inner = 0;  ///< filters of the first convolution; 0: as many as `out`
};

/// ReLU(BN(conv3x3(ReLU(BN(conv3x3(x))))) + shortcut(x)); the shortcut is the identity, or what
/// `params.shortcut` says where the shape changes. No convolution has a bias. The last
/// BN of the residual starts with scale 0, so that a block starts as its shortcut (Goyal et al.
/// 2017, section 5.1): without it the early exits' linear layers diverge in the first steps.
/// A pruned block has fewer channels between its convolutions alone, so that the sum stays.
/// State: `conv1`, `bn1`, `conv2`, `bn2`, and `shortcut.0`, `shortcut.1` for a projection.
class ResidualBlock final : public Layer {
 public:
  static constexpr std::string_view kType = "residual_block";
  /// Throws ConfigError where option A has fewer channels to give than it gets.
  ResidualBlock(ResidualBlockParams params, Rng& rng);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  Channels take_channels(const Layer& full, const Channels& src) override;
  void profile(const std::string& name, const Shape& src,
               std::vector<CostRow>& rows) const override;
  void set_name(const std::string& name) override;
  static std::vector<LayerCase> cases();

 private:
  [[nodiscard]] Variable shortcut(const Variable& src, const Pass& pass);

  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  // At most one kind of shortcut; none: the identity.
  std::unique_ptr<Conv2d> projection_;
  std::unique_ptr<BatchNorm2d> projection_bn_;
  std::unique_ptr<Subsample> subsample_;
};

}  // namespace branchy
