// What a depth-wise convolution behind a batch norm keeps between its passes over memory.
#pragma once

#include <cstdint>

#include "core/buffer_pool.h"
#include "core/dnn/channel_blocks.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/kernels/norm_depthwise.h"
#include "core/kernels/norm_depthwise_kernels.h"
#include "core/step_profile.h"

namespace branchy::kernels {

/// The loops for this CPU.
[[nodiscard]] const NormDepthwiseKernels& norm_depthwise_kernels_for(std::int64_t lanes);

/// The blocks behind a 3x3 kernel with padding 1.
[[nodiscard]] dnn::ChannelBlocks blocks_behind(const dnn::ChannelBlocks& images,
                                               std::int64_t stride);

/// What all passes over one pair of tensors share.
class DepthwisePasses {
 public:
  static constexpr std::int64_t kTaps = 9;

  DepthwisePasses(const dnn::ChannelBlocks& images, const DepthwiseParams& conv);

  [[nodiscard]] const dnn::ChannelBlocks& src() const { return src_; }
  [[nodiscard]] const dnn::ChannelBlocks& dst() const { return dst_; }
  [[nodiscard]] const DepthwisePlane& plane() const { return plane_; }
  /// Of the calling thread.
  [[nodiscard]] float* scratch() const;
  /// [9][lanes].
  [[nodiscard]] const float* weights_of(std::int64_t block) const {
    return weights_.floats() + block * kTaps * src_.lanes;
  }
  /// The gradient of the weights: the sum of what the images gave, which lies behind the two sums
  /// of the norm in `parts`.
  [[nodiscard]] Tensor weight_gradient(const PerImage& parts) const;
  /// `times`: how often each weight meets each pixel behind the convolution.
  [[nodiscard]] WorkAmount amount(int times) const;

 private:
  dnn::ChannelBlocks src_, dst_;
  DepthwisePlane plane_;
  Buffer weights_;  ///< [blocks][9][lanes]
  Buffer scratch_;
};

}  // namespace branchy::kernels
