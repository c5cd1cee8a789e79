// Squeeze and excitation (Hu, Shen, Sun 2018): channels scaled by what the whole image shows.
#pragma once

#include "layers/activation.h"
#include "layers/flatten.h"
#include "layers/layer.h"
#include "layers/linear.h"
#include "layers/pool2d.h"

namespace branchy {

struct SqueezeExciteParams {
  std::int64_t channels = 0;
  std::int64_t reduction = 16;  ///< the hidden layer has channels / reduction units, at least 1
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// src [N,C,H,W] times sigmoid(W2 ReLU(W1 mean(src) + b1) + b2), same shape.
/// State: `fc1.weight`, `fc1.bias`, `fc2.weight`, `fc2.bias`.
class SqueezeExcite final : public Layer {
 public:
  static constexpr std::string_view kType = "squeeze_excite";
  SqueezeExcite(SqueezeExciteParams params, Rng& rng);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  void set_name(const std::string& name) override;
  static std::vector<LayerCase> cases();

 private:
  SqueezeExciteParams params_;
  Pool2d pool_;
  Flatten flatten_;
  Linear fc1_;
  Activation relu_;
  Linear fc2_;
  Activation sigmoid_;
};

}  // namespace branchy
