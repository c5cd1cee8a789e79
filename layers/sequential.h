// Sequential: named layers applied one after another.
#pragma once

#include <utility>
#include <vector>

#include "layers/layer.h"

namespace branchy {

/// A composite: shape, cost, state and lowering follow from its parts, in order.
class Sequential final : public Layer {
 public:
  static constexpr std::string_view kType = "sequential";

  /// Appends a layer; `name` becomes part of its state's names ("conv1" -> "conv1.weight").
  Sequential& add(std::string name, LayerPtr layer);

  [[nodiscard]] std::string_view type() const override { return kType; }
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  /// Without the first `skipped` layers.
  Variable forward_from(std::size_t skipped, const Variable& src, const Pass& pass);
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  void collect_state(const std::string& prefix, std::vector<StateEntry>& state) override;
  Channels take_channels(const Layer& full, const Channels& src) override;
  void profile(const std::string& name, const Shape& src,
               std::vector<CostRow>& rows) const override;
  void set_name(const std::string& name) override;

 private:
  std::vector<std::pair<std::string, LayerPtr>> layers_;
};

}  // namespace branchy
