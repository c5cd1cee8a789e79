#include "core/kernels/norm_depthwise_passes.h"

#include <omp.h>

#include "core/conv_geometry.h"
#include "core/error.h"
#include "core/kernels/instruction_sets.h"

namespace branchy::kernels {

using dnn::ChannelBlocks;

const NormDepthwiseKernels& norm_depthwise_kernels_for(std::int64_t lanes) {
  return best_kernels<NormDepthwiseKernels>(lanes, norm_depthwise_portable, norm_depthwise_avx2,
                                            norm_depthwise_avx512);
}

ChannelBlocks blocks_behind(const ChannelBlocks& images, std::int64_t stride) {
  ChannelBlocks behind = images;
  behind.height = conv_output_size(images.height, 3, stride, 1);
  behind.width = conv_output_size(images.width, 3, stride, 1);
  return behind;
}

namespace {

Buffer in_lines(const ChannelBlocks& images, const Tensor& weights) {
  constexpr std::int64_t kTaps = DepthwisePasses::kTaps;
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

}  // namespace

DepthwisePasses::DepthwisePasses(const ChannelBlocks& images, const DepthwiseParams& conv)
    : src_(images),
      dst_(blocks_behind(images, conv.stride)),
      plane_{src_.height, src_.width,  dst_.height,
             dst_.width,  conv.stride, dst_.size() >= kStreamFrom},
      weights_(in_lines(images, conv.weights)),
      scratch_(static_cast<std::size_t>(omp_get_max_threads() * plane_.scratch() * src_.lanes) *
               sizeof(float)) {
  BRANCHY_DCHECK(conv.stride == 1 || conv.stride == 2);
}

float* DepthwisePasses::scratch() const {
  return scratch_.floats() + omp_get_thread_num() * plane_.scratch() * src_.lanes;
}

Tensor DepthwisePasses::weight_gradient(const PerImage& parts) const {
  Tensor joined(Shape{src_.channels, 1, 3, 3});
  float* to = joined.mutable_data().data();
  for_each_channel_block(src_, [&](std::int64_t block) {
    constexpr std::int64_t kMostLanes = 16;
    for (std::int64_t tap = 0; tap < kTaps; ++tap) {
      double sums[kMostLanes] = {};
      for (std::int64_t n = 0; n < src_.num; ++n)
        for (std::int64_t lane = 0; lane < src_.lanes; ++lane)
          sums[lane] += static_cast<double>(parts.at(2 + tap, n, block)[lane]);
      for (std::int64_t lane = 0; lane < src_.lanes; ++lane)
        if (const std::int64_t c = block * src_.lanes + lane; c < src_.channels)
          to[c * kTaps + tap] = static_cast<float>(sums[lane]);
    }
  });
  return joined;
}

WorkAmount DepthwisePasses::amount(int times) const {
  const auto sizes = [](const ChannelBlocks& b) {
    return static_cast<double>(b.num * b.channels * b.pixels());
  };
  return {.flops = 2.0 * times * static_cast<double>(kTaps) * sizes(dst_),
          .bytes = 4.0 * (times * sizes(src_) + sizes(dst_))};
}

}  // namespace branchy::kernels
