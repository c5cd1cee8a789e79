#include "core/kernels/channel_sums.h"

#include "core/dnn/tensor_access.h"
#include "core/kernels/batch_norm_passes.h"

namespace branchy::kernels {

namespace {

/// Of one image's block of channels, [pixels][lanes].
BRANCHY_SIMD_CLONES
void sum_pixels(const float* values, std::int64_t pixels, std::int64_t lanes, float* sums) {
  for (std::int64_t lane = 0; lane < lanes; ++lane) sums[lane] = 0.0F;
  for (std::int64_t p = 0; p < pixels; ++p)
    for (std::int64_t lane = 0; lane < lanes; ++lane) sums[lane] += values[p * lanes + lane];
}

}  // namespace

Tensor channel_sums(const Tensor& tensor) {
  const Tensor blocked = dnn::in_channel_blocks(tensor);
  const dnn::ChannelBlocks images = dnn::channel_blocks_of(blocked);
  const PerImage parts(images, 1);
  const float* values = dnn::TensorAccess::physical(blocked);
  for_each_block(images, [&](std::int64_t n, std::int64_t block) {
    sum_pixels(values + images.offset(n, block), images.pixels(), images.lanes,
               parts.at(0, n, block));
  });
  Tensor sums(Shape{images.channels});
  const auto to = sums.mutable_data();
  for (std::int64_t c = 0; c < images.channels; ++c) {
    double sum = 0.0;
    for (std::int64_t n = 0; n < images.num; ++n)
      sum += static_cast<double>(parts.at(0, n, c / images.lanes)[c % images.lanes]);
    to[static_cast<std::size_t>(c)] = static_cast<float>(sum);
  }
  return sums;
}

}  // namespace branchy::kernels
