#include "core/kernels/norm_depthwise.h"

#include <omp.h>

#include <utility>

#include "core/conv_geometry.h"
#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/kernels/instruction_sets.h"
#include "core/kernels/norm_depthwise_kernels.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

constexpr std::int64_t kTaps = 9;

const NormDepthwiseKernels& kernels_for(std::int64_t lanes) {
  return best_kernels<NormDepthwiseKernels>(lanes, norm_depthwise_portable, norm_depthwise_avx2,
                                            norm_depthwise_avx512);
}

/// The blocks behind the convolution.
ChannelBlocks blocks_behind(const ChannelBlocks& images, std::int64_t stride) {
  ChannelBlocks behind = images;
  behind.height = conv_output_size(images.height, 3, stride, 1);
  behind.width = conv_output_size(images.width, 3, stride, 1);
  return behind;
}

Shape shape_of(const ChannelBlocks& images) {
  return {images.num, images.channels, images.height, images.width};
}

/// What all passes over one pair of tensors share.
struct Geometry {
  Geometry(const Tensor& input, const DepthwiseParams& conv)
      : src(dnn::channel_blocks_of(input)),
        dst(blocks_behind(src, conv.stride)),
        plane{src.height, src.width, dst.height, dst.width, conv.stride, dst.size() >= kStreamFrom},
        weights(in_lines(src, conv.weights)),
        scratch_(static_cast<std::size_t>(omp_get_max_threads() * plane.scratch() * src.lanes) *
                 sizeof(float)) {
    BRANCHY_DCHECK(conv.stride == 1 || conv.stride == 2);
  }

  /// Of the calling thread.
  [[nodiscard]] float* scratch() const {
    return scratch_.floats() + omp_get_thread_num() * plane.scratch() * src.lanes;
  }
  [[nodiscard]] const float* weights_of(std::int64_t block) const {
    return weights.floats() + block * kTaps * src.lanes;
  }

  ChannelBlocks src, dst;
  DepthwisePlane plane;
  Buffer weights;  ///< [blocks][9][lanes]

 private:
  static Buffer in_lines(const ChannelBlocks& images, const Tensor& weights) {
    Buffer lines(static_cast<std::size_t>(images.blocks() * kTaps * images.lanes) * sizeof(float));
    const auto from = weights.data();
    for (std::int64_t block = 0; block < images.blocks(); ++block)
      for (std::int64_t tap = 0; tap < kTaps; ++tap)
        for (std::int64_t lane = 0; lane < images.lanes; ++lane) {
          const std::int64_t c = block * images.lanes + lane;
          lines.floats()[(block * kTaps + tap) * images.lanes + lane] =
              c < images.channels ? from[static_cast<std::size_t>(c * kTaps + tap)] : 0.0F;
        }
    return lines;
  }

  Buffer scratch_;
};

/// Sums the images' gradients of the weights, which lie behind the two sums of the norm.
Tensor join_weights(const ChannelBlocks& images, const PerImage& parts) {
  Tensor joined(Shape{images.channels, 1, 3, 3});
  const auto to = joined.mutable_data();
  for (std::int64_t c = 0; c < images.channels; ++c)
    for (std::int64_t tap = 0; tap < kTaps; ++tap) {
      double sum = 0.0;
      for (std::int64_t n = 0; n < images.num; ++n)
        sum += static_cast<double>(parts.at(2 + tap, n, c / images.lanes)[c % images.lanes]);
      to[static_cast<std::size_t>(c * kTaps + tap)] = static_cast<float>(sum);
    }
  return joined;
}

}  // namespace

NormDepthwiseResult norm_depthwise(const Tensor& src, const BatchNormParams& norm,
                                   const DepthwiseParams& conv) {
  const Tensor input = dnn::in_channel_blocks(src);
  const Geometry geometry(input, conv);
  const ChannelBlocks& images = geometry.src;
  const NormDepthwiseKernels& kernels = kernels_for(images.lanes);
  const Clip clip = clip_of(norm.activation);
  const NormLine line(images, norm);
  const PerChannel variance(images);
  const PerImage parts(images);
  Tensor dst = dnn::empty_in_channel_blocks(shape_of(geometry.dst), images.lanes);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  const auto statistics = best_kernels<BatchNormKernels>(images.lanes, batch_norm_portable,
                                                         batch_norm_avx2, batch_norm_avx512)
                              .statistics;
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        statistics(x + images.offset(n, block), images.pixels(), parts.at(0, n, block),
                   parts.at(1, n, block));
      },
      [&](std::int64_t block) { join_statistics(images, parts, block, norm, line, variance); },
      [&](std::int64_t n, std::int64_t block) {
        kernels.forward(x + images.offset(n, block), geometry.plane, line.at(block * images.lanes),
                        clip, geometry.weights_of(block), geometry.scratch(),
                        y + geometry.dst.offset(n, block));
      });
  return {std::move(dst), {line.mean.first(images.channels), variance.first(images.channels)}};
}

Tensor norm_depthwise_with(const Tensor& src, const BatchNormParams& norm,
                           const DepthwiseParams& conv, const BatchNormStatistics& statistics) {
  const Tensor input = dnn::in_channel_blocks(src);
  const Geometry geometry(input, conv);
  const ChannelBlocks& images = geometry.src;
  const NormDepthwiseKernels& kernels = kernels_for(images.lanes);
  const Clip clip = clip_of(norm.activation);
  const NormLine line(images, norm, statistics);
  Tensor dst = dnn::empty_in_channel_blocks(shape_of(geometry.dst), images.lanes);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  for_each_block(images, [&](std::int64_t n, std::int64_t block) {
    kernels.forward(x + images.offset(n, block), geometry.plane, line.at(block * images.lanes),
                    clip, geometry.weights_of(block), geometry.scratch(),
                    y + geometry.dst.offset(n, block));
  });
  return dst;
}

NormDepthwiseGradients norm_depthwise_backward(const Tensor& diff_dst, Tensor src,
                                               const BatchNormParams& norm,
                                               const DepthwiseParams& conv,
                                               const BatchNormStatistics& statistics,
                                               StatisticsOf of) {
  const Tensor input = dnn::in_channel_blocks(std::exchange(src, Tensor()));
  const Geometry geometry(input, conv);
  const ChannelBlocks& images = geometry.src;
  const Tensor diff = dnn::in_channel_blocks(diff_dst, images.lanes);
  const NormDepthwiseKernels& kernels = kernels_for(images.lanes);
  const Clip clip = clip_of(norm.activation);
  const NormLine line(images, norm, statistics);
  const NormDiffs diffs(images);
  const PerImage parts(images, 2 + kTaps);
  Tensor diff_src = TensorAccess::sole_owner(input) ? input : dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  const float* dy = TensorAccess::physical(diff);
  float* dx = TensorAccess::mutable_physical(diff_src);
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        kernels.reduce(x + images.offset(n, block), dy + geometry.dst.offset(n, block),
                       geometry.plane, line.at(block * images.lanes), clip,
                       geometry.weights_of(block), geometry.scratch(), parts.at(0, n, block));
      },
      [&](std::int64_t block) {
        diffs.join(images, parts, block, line, statistics, norm.epsilon, of);
      },
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        const std::int64_t c = block * images.lanes;
        kernels.differentiate(x + at, dy + geometry.dst.offset(n, block), geometry.plane,
                              line.at(c), clip, geometry.weights_of(block), diffs.by_src.data() + c,
                              diffs.by_one.data() + c, geometry.scratch(), dx + at);
      });
  return {std::move(diff_src), diffs.scale.first(images.channels),
          diffs.shift.first(images.channels), join_weights(images, parts)};
}

}  // namespace branchy::kernels
