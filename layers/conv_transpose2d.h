// 2-D transposed convolution: the adjoint of convolution, for decoders that enlarge an image.
#pragma once

#include "core/dnn/convolution.h"
#include "layers/layer.h"
#include "layers/primitive_cache.h"

namespace branchy {

/// Square kernels, no groups.
struct ConvTranspose2dParams {
  std::int64_t in = 0, out = 0, kernel = 2, stride = 2, padding = 0;
  bool bias = false;
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// src [N,C,H,W] -> [N,O,H',W'], H' = (H - 1) stride - 2 padding + kernel: every pixel is spread
/// over a window (Dumoulin, Visin 2016, chapter 4). State: `weight` [C,O,K,K], `bias` [O].
class ConvTranspose2d final : public Layer {
 public:
  static constexpr std::string_view kType = "conv_transpose2d";
  /// Weights start Kaiming-normal by the C K^2 / stride^2 terms that an output sums on average.
  ConvTranspose2d(ConvTranspose2dParams params, Rng& rng);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  static std::vector<LayerCase> cases();

 private:
  ConvTranspose2dParams params_;
  Variable weight_, bias_;
  PrimitiveCache<dnn::Convolution> primitives_;
};

}  // namespace branchy
