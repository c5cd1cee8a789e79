#include "core/kernels/batch_norm_add.h"

#include <fmt/core.h>

#include <utility>

#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

const Tensor& same_shape(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape())
    throw ShapeError(fmt::format("[batch_norm_add] {} and {}, expected equal shapes",
                                 a.shape().to_string(), b.shape().to_string()));
  return b;
}

/// Both sources of the sum, in one layout, and the result.
struct Sum {
  Sum(const Tensor& a, const Tensor& b)
      : src(dnn::in_channel_blocks(a)),
        other(dnn::in_layout_of(same_shape(a, b), src)),
        dst(dnn::empty_like(src)),
        images(dnn::channel_blocks_of(src)),
        kernels(batch_norm_kernels_for(images.lanes)) {}

  void add(std::int64_t n, std::int64_t block, const NormLine& line, float* result) const {
    const std::int64_t at = images.offset(n, block);
    kernels.normalize_add(TensorAccess::physical(src) + at, TensorAccess::physical(other) + at,
                          images.pixels(), line.at(block * images.lanes),
                          clip_of(ActivationKind::kRelu), result + at);
  }

  Tensor src, other, dst;
  ChannelBlocks images;
  const BatchNormKernels& kernels;
};

}  // namespace

BatchNormResult batch_norm_add_relu(const Tensor& src, const Tensor& other,
                                    const BatchNormParams& params) {
  const TimedWork work(StepWork::kNorm, floats_moved(3 * src.size()));
  Sum sum(src, other);
  const ChannelBlocks& images = sum.images;
  const NormLine line(images, params);
  const PerChannel variance(images);
  const PerImage parts(images);
  const float* x = TensorAccess::physical(sum.src);
  float* y = TensorAccess::mutable_physical(sum.dst);
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        sum.kernels.statistics(x + images.offset(n, block), images.pixels(), parts.at(0, n, block),
                               parts.at(1, n, block));
      },
      [&](std::int64_t block) { join_statistics(images, parts, block, params, line, variance); },
      [&](std::int64_t n, std::int64_t block) { sum.add(n, block, line, y); });
  return {std::move(sum.dst), {line.mean.first(images.channels), variance.first(images.channels)}};
}

Tensor batch_norm_add_relu_with(const Tensor& src, const Tensor& other,
                                const BatchNormParams& params,
                                const BatchNormStatistics& statistics) {
  const TimedWork work(StepWork::kNorm, floats_moved(3 * src.size()));
  Sum sum(src, other);
  const NormLine line(sum.images, params, statistics);
  float* y = TensorAccess::mutable_physical(sum.dst);
  for_each_block(sum.images,
                 [&](std::int64_t n, std::int64_t block) { sum.add(n, block, line, y); });
  return std::move(sum.dst);
}

BatchNormAddGradients batch_norm_add_relu_backward(Tensor diff_dst, const Tensor& src,
                                                   const Tensor& dst, const BatchNormParams& params,
                                                   const BatchNormStatistics& statistics,
                                                   StatisticsOf of) {
  const TimedWork work(StepWork::kNorm, floats_moved(5 * src.size()));
  const Tensor input = dnn::in_channel_blocks(src);
  const Tensor result = dnn::in_layout_of(dst, input);
  const Tensor diff = dnn::in_layout_of(std::exchange(diff_dst, Tensor()), input);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const BatchNormKernels& kernels = batch_norm_kernels_for(images.lanes);
  const Clip everything = clip_of({});
  const NormLine line(images, params, statistics);
  const NormDiffs diffs(images);
  const PerImage parts(images);
  Tensor passed = TensorAccess::sole_owner(diff) ? diff : dnn::empty_like(input);
  Tensor diff_src = dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  const float* y = TensorAccess::physical(result);
  const float* dy = TensorAccess::physical(diff);
  float* g = TensorAccess::mutable_physical(passed);
  float* dx = TensorAccess::mutable_physical(diff_src);
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        kernels.reduce_positive(x + at, dy + at, y + at, images.pixels(),
                                line.at(block * images.lanes).mean, g + at, parts.at(0, n, block),
                                parts.at(1, n, block));
      },
      [&](std::int64_t block) {
        diffs.join(images, parts, block, line, statistics, params.epsilon, of);
      },
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        const std::int64_t c = block * images.lanes;
        kernels.differentiate(x + at, g + at, images.pixels(), line.at(c), everything,
                              diffs.by_src.data() + c, diffs.by_one.data() + c, dx + at);
      });
  return {
      {std::move(diff_src), diffs.scale.first(images.channels), diffs.shift.first(images.channels)},
      std::move(passed)};
}

}  // namespace branchy::kernels
