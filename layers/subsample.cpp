#include "layers/subsample.h"

#include <fmt/core.h>

#include "core/conv_geometry.h"
#include "core/error.h"
#include "core/step_profile.h"

namespace branchy {

namespace {

/// Calls `visit(large, small)` with the positions of every pixel that is kept: in the image of
/// shape `large` and in the smaller one of shape `small` with its channels around.
template <typename Visit>
void for_each_kept(const SubsampleOp& op, const Shape& large, const Shape& small,
                   const Visit& visit) {
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * small.size()));
  for (std::int64_t n = 0; n < large[0]; ++n)
    for (std::int64_t c = 0; c < large[1]; ++c)
      for (std::int64_t h = 0; h < small[2]; ++h) {
        const std::int64_t from = ((n * large[1] + c) * large[2] + h * op.stride) * large[3];
        const std::int64_t to = ((n * small[1] + op.front + c) * small[2] + h) * small[3];
        for (std::int64_t w = 0; w < small[3]; ++w) visit(from + w * op.stride, to + w);
      }
}

}  // namespace

Subsample::Subsample(SubsampleOp op) : op_(op) {
  if (op_.stride < 1 || op_.front < 0 || op_.behind < 0)
    throw ConfigError(
        fmt::format("[subsample] stride {} front {} behind {}: expected stride >= 1, channels >= 0",
                    op_.stride, op_.front, op_.behind));
}

Shape Subsample::output_shape(const Shape& src) const {
  if (src.rank() != 4)
    throw ShapeError(fmt::format("{} src is {}, expected [N,C,H,W]", place(), src.to_string()));
  const auto size = [&](std::int64_t n) { return conv_output_size(n, 1, op_.stride, 0); };
  return {src[0], op_.front + src[1] + op_.behind, size(src[2]), size(src[3])};
}

Variable Subsample::do_forward(const Variable& src, const Pass& /*pass*/) {
  const Shape large = src.shape();
  const Shape small = output_shape(large);
  Tensor dst = Tensor::zeros(small);
  const float* from = src.value().data().data();
  float* to = dst.mutable_data().data();
  for_each_kept(op_, large, small, [&](std::int64_t l, std::int64_t s) { to[s] = from[l]; });
  // Pixels that were left out have no part in the output: their gradient is zero.
  return record(kType, std::move(dst), {src},
                [op = op_, large, small](const Tensor& diff_dst, Wanted /*wanted*/) {
                  Tensor diff_src = Tensor::zeros(large);
                  const float* diff_from = diff_dst.data().data();
                  float* diff_to = diff_src.mutable_data().data();
                  for_each_kept(op, large, small,
                                [&](std::int64_t l, std::int64_t s) { diff_to[l] = diff_from[s]; });
                  return std::vector<Tensor>{diff_src};
                });
}

Cost Subsample::cost(const Shape& src) const {
  Cost cost;
  const Shape dst = output_shape(src).with_batch(1);
  cost.bytes_moved = 4 * (src.with_batch(1).size() + dst.size());
  return cost;
}

PlanValue Subsample::lower(PlanBuilder& plan, PlanValue src) const {
  return plan.subsample(src, op_);
}

std::vector<LayerCase> Subsample::cases() {
  const auto make = [](SubsampleOp op) {
    return [op](Rng&) { return std::make_unique<Subsample>(op); };
  };
  return {{"option_a", {2, 8, 6, 6}, make({.stride = 2, .front = 4, .behind = 4})},
          {"odd_image", {3, 5, 7, 5}, make({.stride = 2, .front = 1, .behind = 2})},
          {"pixels_only", {2, 16, 7, 9}, make({.stride = 3})},
          {"channels_only", {1, 3, 4, 4}, make({.front = 2})}};
}

}  // namespace branchy
