#include "core/kernels/batch_norm.h"

#include <utility>

#include "core/dnn/tensor_access.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

auto normalize_of(const BatchNormKernels& kernels, const ChannelBlocks& images) {
  return images.size() >= kStreamFrom ? kernels.normalize_streamed : kernels.normalize;
}

}  // namespace

BatchNormResult batch_norm(const Tensor& src, const BatchNormParams& params) {
  const TimedWork work(StepWork::kNorm, floats_moved(2 * src.size()));
  const Tensor input = dnn::in_channel_blocks(src);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const BatchNormKernels& kernels = batch_norm_kernels_for(images.lanes);
  const auto normalize = normalize_of(kernels, images);
  const Clip clip = clip_of(params.activation);
  const NormLine line(images, params);
  const PerChannel variance(images);
  const PerImage parts(images);
  Tensor dst = dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        kernels.statistics(x + images.offset(n, block), images.pixels(), parts.at(0, n, block),
                           parts.at(1, n, block));
      },
      [&](std::int64_t block) { join_statistics(images, parts, block, params, line, variance); },
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        normalize(x + at, images.pixels(), line.at(block * images.lanes), clip, y + at);
      });
  return {std::move(dst), {line.mean.first(images.channels), variance.first(images.channels)}};
}

Tensor batch_norm_with(const Tensor& src, const BatchNormParams& params,
                       const BatchNormStatistics& statistics) {
  const TimedWork work(StepWork::kNorm, floats_moved(2 * src.size()));
  const Tensor input = dnn::in_channel_blocks(src);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const auto normalize = normalize_of(batch_norm_kernels_for(images.lanes), images);
  const Clip clip = clip_of(params.activation);
  const NormLine line(images, params, statistics);
  Tensor dst = dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  for_each_block(images, [&](std::int64_t n, std::int64_t block) {
    const std::int64_t at = images.offset(n, block);
    normalize(x + at, images.pixels(), line.at(block * images.lanes), clip, y + at);
  });
  return dst;
}

BatchNormGradients batch_norm_backward(Tensor diff_dst, const Tensor& src,
                                       const BatchNormParams& params,
                                       const BatchNormStatistics& statistics, StatisticsOf of) {
  const TimedWork work(StepWork::kNorm, floats_moved(3 * src.size()));
  const Tensor input = dnn::in_channel_blocks(src);
  const Tensor diff = dnn::in_layout_of(std::exchange(diff_dst, Tensor()), input);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const BatchNormKernels& kernels = batch_norm_kernels_for(images.lanes);
  const Clip clip = clip_of(params.activation);
  const NormLine line(images, params, statistics);
  const NormDiffs diffs(images);
  const PerImage parts(images);
  Tensor diff_src = TensorAccess::sole_owner(diff) ? diff : dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  const float* dy = TensorAccess::physical(diff);
  float* dx = TensorAccess::mutable_physical(diff_src);
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        kernels.reduce(x + at, dy + at, images.pixels(), line.at(block * images.lanes), clip,
                       parts.at(0, n, block), parts.at(1, n, block));
      },
      [&](std::int64_t block) {
        diffs.join(images, parts, block, line, statistics, params.epsilon, of);
      },
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        const std::int64_t c = block * images.lanes;
        kernels.differentiate(x + at, dy + at, images.pixels(), line.at(c), clip,
                              diffs.by_src.data() + c, diffs.by_one.data() + c, dx + at);
      });
  return {std::move(diff_src), diffs.scale.first(images.channels),
          diffs.shift.first(images.channels)};
}

}  // namespace branchy::kernels
