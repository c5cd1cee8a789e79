#include "layers/flatten.h"

namespace branchy {

Shape Flatten::output_shape(const Shape& src) const {
  const std::int64_t per_sample = src.with_batch(1).size();
  return {src[0], per_sample};
}

Variable Flatten::do_forward(const Variable& src, const Pass& /*pass*/) {
  return record(kType, src.value().reshape(output_shape(src.shape())), {src},
                [shape = src.shape()](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{diff_dst.reshape(shape)};
                });
}

Cost Flatten::cost(const Shape& /*src*/) const { return {}; }

PlanValue Flatten::lower(PlanBuilder& plan, PlanValue src) const { return plan.flatten(src); }

std::vector<LayerCase> Flatten::cases() {
  return {{"image", {2, 19, 3, 2}, [](Rng&) { return std::make_unique<Flatten>(); }}};
}

}  // namespace branchy
