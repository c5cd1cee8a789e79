// Fully connected layer.
#pragma once

#include "layers/layer.h"

namespace branchy {

struct LinearParams {
  std::int64_t in = 0, out = 0;
  bool bias = true;
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// src [N,I] -> src weight^T + bias, [N,O]. State: `weight` [O,I], `bias` [O].
class Linear final : public Layer {
 public:
  static constexpr std::string_view kType = "linear";
  /// Weights start uniform in +-1/sqrt(in), the bias at 0.
  Linear(LinearParams params, Rng& rng);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  Channels take_channels(const Layer& full, const Channels& src) override;
  static std::vector<LayerCase> cases();

 private:
  LinearParams params_;
  Variable weight_, bias_;
};

}  // namespace branchy
