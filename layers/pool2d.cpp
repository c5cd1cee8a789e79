#include "layers/pool2d.h"

#include <fmt/core.h>

#include "core/error.h"

namespace branchy {

Pool2d::Pool2d(PoolOp op) : op_(op) {
  if (op_.kernel < 0 || op_.stride < 1 || op_.padding < 0 || 2 * op_.padding > op_.kernel)
    throw ConfigError(fmt::format(
        "[pool2d] kernel {} stride {} padding {}: expected stride >= 1, padding <= kernel / 2",
        op_.kernel, op_.stride, op_.padding));
}

std::string_view Pool2d::type() const {
  if (op_.kernel == 0) return op_.kind == PoolKind::kMax ? "global_max_pool" : "global_avg_pool";
  return op_.kind == PoolKind::kMax ? "max_pool" : "avg_pool";
}

Shape Pool2d::output_shape(const Shape& src) const {
  if (src.rank() != 4)
    throw ShapeError(fmt::format("{} src is {}, expected [N,C,H,W]", place(), src.to_string()));
  return dnn::pooled_shape(src, op_);
}

Variable Pool2d::do_forward(const Variable& src, const Pass& /*pass*/) {
  static_cast<void>(output_shape(src.shape()));
  const auto pooling = primitives_.get([&](const dnn::Pooling& p) { return p.fits(src.value()); },
                                       [&] { return dnn::Pooling(src.value(), op_); });
  auto result = pooling->forward(src.value());
  // The gradient goes to the position of each maximum, or in equal parts to the whole window.
  return record(kType, std::move(result.dst), {src},
                [pooling, workspace = result.workspace](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{pooling->backward(diff_dst, workspace.get())};
                });
}

Cost Pool2d::cost(const Shape& src) const {
  const std::int64_t elements = src.with_batch(1).size();
  Cost cost;
  cost.ptflops = elements;
  cost.executed = elements;
  cost.bytes_moved = 4 * (elements + output_shape(src).with_batch(1).size());
  return cost;
}

PlanValue Pool2d::lower(PlanBuilder& plan, PlanValue src) const { return plan.pool(src, op_); }

std::vector<LayerCase> Pool2d::cases() {
  const auto make = [](PoolOp op) { return [op](Rng&) { return std::make_unique<Pool2d>(op); }; };
  return {
      {"max2", {2, 16, 6, 8}, make({.kind = PoolKind::kMax})},
      {"max3_stride2_padded",
       {2, 5, 7, 7},
       make({.kind = PoolKind::kMax, .kernel = 3, .stride = 2, .padding = 1})},
      {"avg2", {2, 3, 4, 6}, make({.kind = PoolKind::kAverage})},
      {"global", {3, 20, 5, 4}, make({.kind = PoolKind::kAverage, .kernel = 0})},
  };
}

}  // namespace branchy
