// Max, average and global average pooling.
#pragma once

#include "core/dnn/pooling.h"
#include "layers/layer.h"
#include "layers/primitive_cache.h"

namespace branchy {

/// src [N,C,H,W] -> [N,C,H',W']; kernel 0 pools globally to [N,C,1,1]. Averages count padding as
/// zeros. No state.
class Pool2d final : public Layer {
 public:
  static constexpr std::string_view kType = "pool2d";
  /// Throws ConfigError for sizes out of range (stride >= 1, 0 <= padding <= kernel / 2).
  explicit Pool2d(PoolOp op);

  [[nodiscard]] std::string_view type() const override;
  [[nodiscard]] Shape output_shape(const Shape& src) const override;
  Variable do_forward(const Variable& src, const Pass& pass) override;
  [[nodiscard]] Cost cost(const Shape& src) const override;
  PlanValue lower(PlanBuilder& plan, PlanValue src) const override;
  static std::vector<LayerCase> cases();

 private:
  PoolOp op_;
  PrimitiveCache<dnn::Pooling> primitives_;
};

}  // namespace branchy
