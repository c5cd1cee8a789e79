#include "infer/int8_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "infer/plan_graph.h"
#include "infer/plan_int8.h"
#include "infer/program.h"

namespace branchy {

Int8Calibration::Int8Calibration(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {
  if (plan_->part().first_block != 0 || plan_->part().first_exit != 1)
    throw ConfigError("[int8] the plan is one side of a split, expected a whole network");
  bool takes_any = false;
  for (const detail::PlanSegment& segment : plan_->graph().segments)
    for (const detail::PlanOp& op : segment.ops) {
      if (op.int8) throw ConfigError("[int8] the plan is in 8 bits already, expected float32");
      takes_any = takes_any || detail::int8_takes(op);
    }
  if (!takes_any)
    throw ConfigError(
        "[int8] the network has neither a convolution over 16 or more channels nor a large linear "
        "layer; leave it in float32");
  lane_.use(plan_->program(1));
}

void Int8Calibration::look_at(std::size_t segment, const detail::ProgramStep& step,
                              const float* src) {
  if (step.op < 0) return;
  const detail::PlanSegment& part = plan_->graph().segments[segment];
  if (!detail::int8_takes(part.ops[static_cast<std::size_t>(step.op)])) return;
  const auto bytes = static_cast<std::size_t>(dnn::num_bytes(step.primitive.srcs()[0]));
  const std::span<const float> values(src, bytes / sizeof(float));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const PlanOperation operation{part.is_exit, part.number, step.op};
  // Of all: a NaN among others is neither less nor greater than they are.
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
    throw NumericError(fmt::format("[int8] the source of {} is not finite; train the network again",
                                   operation.name()));
  dnn::ValueRange& range = ranges_[operation];  // at first 0 to 0
  range.low = std::min(range.low, *low);
  range.high = std::max(range.high, *high);
}

void Int8Calibration::add(const Tensor& images) {
  const Shape expected = plan_->input_shape();
  if (images.shape() != expected.with_batch(images.dim(0)))
    throw ShapeError(fmt::format("[int8] images are {}, the plan expects {} with any batch",
                                 images.shape().to_string(), expected.to_string()));
  const std::int64_t size = expected.size();
  for (std::int64_t n = 0; n < images.dim(0); ++n) {
    lane_.enter(0, images.data().data() + n * size);
    for (std::size_t segment = 0; segment < plan_->graph().segments.size(); ++segment)
      lane_.run_segment(segment, [&](const detail::ProgramStep& step, const float* src) {
        look_at(segment, step, src);
      });
  }
  num_images_ += images.dim(0);
}

const Int8Ranges& Int8Calibration::ranges() const {
  if (num_images_ == 0) throw Error("[int8] no image was looked at; add some first");
  return ranges_;
}

}  // namespace branchy
