// Int8Calibration: looks at the sources of operations while a plan runs over images.
#pragma once

#include <memory>

#include "core/tensor.h"
#include "infer/int8_ranges.h"
#include "infer/plan.h"
#include "infer/plan_lane.h"

namespace branchy {

/// The bounds are the extremes over all images. Cutting off costs more than coarse steps: means of
/// the images' own extremes moved the logits of ResNet44 on CIFAR-10 three times as far (4.6 % of
/// their root mean square at the last exit). Not synchronised.
class Int8Calibration {
 public:
  /// `plan`: float32, from the images to the final exit. Throws ConfigError for another, and where
  /// `dnn::int8_takes` no operation.
  explicit Int8Calibration(std::shared_ptr<const Plan> plan);

  /// Normalised images [N,C,H,W]; throws ShapeError for another shape.
  void add(const Tensor& images);
  [[nodiscard]] std::int64_t num_images() const { return num_images_; }
  /// Of all operations that it takes, zero included. Throws Error before the first image.
  [[nodiscard]] const Int8Ranges& ranges() const;

 private:
  void look_at(std::size_t segment, const detail::ProgramStep& step, const float* src);

  std::shared_ptr<const Plan> plan_;
  detail::PlanLane lane_;
  Int8Ranges ranges_;
  std::int64_t num_images_ = 0;
};

}  // namespace branchy
