// The inverted residual block of MobileNetV2 (Sandler et al. 2018).
#pragma once

#include <optional>
#include <string>

#include "core/kernels/bottleneck.h"
#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/layer.h"
#include "layers/primitive_cache.h"
#include "layers/sequential.h"

namespace branchy {

struct InvertedResidualParams {
  std::int64_t in = 0, out = 0, stride = 1;
  std::int64_t expansion = 6;  ///< the depth-wise convolution has in * expansion channels,
  std::int64_t hidden = 0;     ///< or this many, when not 0
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// 1x1 expansion (absent for expansion 1), BN, ReLU6; 3x3 depth-wise with the stride, BN, ReLU6;
/// 1x1 projection, BN; plus the input where the shape stays. No convolution has a bias.
/// A pruned block has fewer hidden channels alone, so that the sum stays.
/// State as in published files: `conv.0.0` (expansion), `conv.0.1` (BN), `conv.1.0`, `conv.1.1`,
/// `conv.2`, `conv.3`; without expansion `conv.0.0`, `conv.0.1`, `conv.1`, `conv.2`.
class InvertedResidual final : public Layer {
 public:
  static constexpr std::string_view kType = "inverted_residual";
  InvertedResidual(InvertedResidualParams params, Rng& rng);

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
  struct ConvNorm {
    Conv2d* conv = nullptr;
    BatchNorm2d* norm = nullptr;
  };
  /// Appends the two to the body.
  ConvNorm add_conv_norm(const std::string& conv_name, const std::string& norm_name,
                         Conv2dParams conv, std::optional<ActivationKind> activation, Rng& rng);
  Variable forward_body(const Variable& src, const Pass& pass);
  /// The whole body in training as one operation (core/kernels/bottleneck).
  Variable train_body(const Variable& src);

  Sequential body_;
  ConvNorm expansion_;   ///< the first two layers of the body, if it expands
  ConvNorm depthwise_;   ///< those behind them
  ConvNorm projection_;  ///< the last two
  bool adds_input_;
  PrimitiveCache<kernels::Bottleneck> primitives_;
};

}  // namespace branchy
