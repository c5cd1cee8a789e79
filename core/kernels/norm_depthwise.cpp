#include "core/kernels/norm_depthwise.h"

#include <utility>

#include "core/dnn/tensor_access.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/kernels/norm_depthwise_passes.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

Shape shape_of(const ChannelBlocks& images) {
  return {images.num, images.channels, images.height, images.width};
}

}  // namespace

Tensor norm_depthwise(const Tensor& src, const BatchNormParams& norm, const DepthwiseParams& conv,
                      const BatchNormStatistics& statistics) {
  const Tensor input = dnn::in_channel_blocks(src);
  const DepthwisePasses passes(dnn::channel_blocks_of(input), conv);
  const TimedWork work(StepWork::kDepthwise, passes.amount(1));
  const ChannelBlocks& images = passes.src();
  const NormDepthwiseKernels& kernels = norm_depthwise_kernels_for(images.lanes);
  const Clip clip = clip_of(norm.activation);
  const NormLine line(images, norm, statistics);
  Tensor dst = dnn::empty_in_channel_blocks(shape_of(passes.dst()), images.lanes);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  for_each_block(images, [&](std::int64_t n, std::int64_t block) {
    kernels.forward(x + images.offset(n, block), passes.plane(), line.at(block * images.lanes),
                    clip, passes.weights_of(block), passes.scratch(),
                    y + passes.dst().offset(n, block));
  });
  return dst;
}

NormDepthwiseGradients norm_depthwise_backward(const Tensor& diff_dst, Tensor src,
                                               const BatchNormParams& norm,
                                               const DepthwiseParams& conv,
                                               const BatchNormStatistics& statistics) {
  const Tensor input = dnn::in_channel_blocks(std::exchange(src, Tensor()));
  const DepthwisePasses passes(dnn::channel_blocks_of(input), conv);
  const TimedWork work(StepWork::kDepthwise, passes.amount(2));
  const ChannelBlocks& images = passes.src();
  const Tensor diff = dnn::in_channel_blocks(diff_dst, images.lanes);
  const NormDepthwiseKernels& kernels = norm_depthwise_kernels_for(images.lanes);
  const Clip clip = clip_of(norm.activation);
  const NormLine line(images, norm, statistics);
  const NormDiffs diffs(images);
  const PerImage parts(images, 2 + DepthwisePasses::kTaps);
  Tensor diff_src = TensorAccess::sole_owner(input) ? input : dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  const float* dy = TensorAccess::physical(diff);
  float* dx = TensorAccess::mutable_physical(diff_src);
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        kernels.reduce(x + images.offset(n, block), dy + passes.dst().offset(n, block),
                       passes.plane(), line.at(block * images.lanes), clip,
                       passes.weights_of(block), passes.scratch(), parts.at(0, n, block));
      },
      [&](std::int64_t block) {
        diffs.join(images, parts, block, line, statistics, norm.epsilon, StatisticsOf::kConstant);
      },
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        const std::int64_t c = block * images.lanes;
        kernels.differentiate(x + at, dy + passes.dst().offset(n, block), passes.plane(),
                              line.at(c), clip, passes.weights_of(block), diffs.by_src.data() + c,
                              diffs.by_one.data() + c, passes.scratch(), dx + at);
      });
  return {std::move(diff_src), diffs.scale.first(images.channels),
          diffs.shift.first(images.channels), passes.weight_gradient(parts)};
}

}  // namespace branchy::kernels
