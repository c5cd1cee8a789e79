// What batch normalisation keeps by channel and by image between its passes over memory.
#pragma once

#include <cstdint>
#include <utility>

#include "core/buffer_pool.h"
#include "core/dnn/channel_blocks.h"
#include "core/kernels/batch_norm.h"
#include "core/kernels/batch_norm_kernels.h"
#include "core/kernels/parallel.h"

namespace branchy::kernels {

/// The loops for this CPU.
[[nodiscard]] const BatchNormKernels& batch_norm_kernels_for(std::int64_t lanes);

[[nodiscard]] Clip clip_of(const std::optional<ActivationKind>& activation);

/// A result of this many floats is in no cache when its consumer comes: it is written past them
/// where that is faster.
inline constexpr std::int64_t kStreamFrom = 1'000'000;

/// One value a channel, padded with zeros to whole blocks.
class PerChannel {
 public:
  explicit PerChannel(const dnn::ChannelBlocks& images);
  PerChannel(const dnn::ChannelBlocks& images, const Tensor& values);
  [[nodiscard]] float* data() const { return buffer_.floats(); }
  [[nodiscard]] Tensor first(std::int64_t channels) const;

 private:
  Buffer buffer_;
};

/// `values` numbers a channel of each image: lines of lanes, uninitialised.
class PerImage {
 public:
  explicit PerImage(const dnn::ChannelBlocks& images, std::int64_t values = 2)
      : images_(images),
        values_(values),
        buffer_(static_cast<std::size_t>(images.num * images.blocks() * images.lanes * values) *
                sizeof(float)) {}
  /// Line `value` of a block; the next one lies behind it.
  [[nodiscard]] float* at(std::int64_t value, std::int64_t n, std::int64_t block) const {
    return buffer_.floats() + ((n * images_.blocks() + block) * values_ + value) * images_.lanes;
  }

 private:
  dnn::ChannelBlocks images_;
  std::int64_t values_;
  Buffer buffer_;
};

/// What both directions know of each channel.
struct NormLine {
  NormLine(const dnn::ChannelBlocks& images, const BatchNormParams& params)
      : mean(images), scale(images), shift(images, params.shift) {}
  NormLine(const dnn::ChannelBlocks& images, const BatchNormParams& params,
           const BatchNormStatistics& statistics);
  [[nodiscard]] BatchNormLine at(std::int64_t channel) const {
    return {mean.data() + channel, scale.data() + channel, shift.data() + channel};
  }

  PerChannel mean, scale, shift;
};

/// Joins values 0 and 1 of the images, their mean and squared deviations, to the statistics of one
/// block; fills its lines of `line` and `variance`.
void join_statistics(const dnn::ChannelBlocks& images, const PerImage& parts, std::int64_t block,
                     const BatchNormParams& params, const NormLine& line,
                     const PerChannel& variance);

/// The gradients by channel, and what a gradient of the source takes from them.
struct NormDiffs {
  explicit NormDiffs(const dnn::ChannelBlocks& images)
      : scale(images), shift(images), by_src(images), by_one(images) {}
  /// Joins values 0 and 1 of the images, the sums of g and g (src - mean), for one block.
  void join(const dnn::ChannelBlocks& images, const PerImage& parts, std::int64_t block,
            const NormLine& line, const BatchNormStatistics& statistics, float epsilon,
            StatisticsOf of) const;

  PerChannel scale, shift, by_src, by_one;
};

/// first(n, block) for all images n, join(block), then second(n, block) for all n. A thread takes
/// whole blocks, whose images may then still be in its cache; blocks that are left over are shared
/// image by image.
template <typename First, typename Join, typename Second>
void in_two_passes(const dnn::ChannelBlocks& images, const First& first, const Join& join,
                   const Second& second) {
  const std::int64_t num = images.num;
  const std::int64_t blocks = images.blocks();
#pragma omp parallel if (images.size() >= kSerialBelow)
  {
    const std::int64_t threads = omp_get_num_threads();
    const std::int64_t whole = blocks - blocks % threads;
    for (std::int64_t block = omp_get_thread_num(); block < whole; block += threads) {
      for (std::int64_t n = 0; n < num; ++n) first(n, block);
      join(block);
      for (std::int64_t n = num; n-- > 0;) second(n, block);
    }
    for (std::int64_t block = whole; block < blocks; ++block) {
#pragma omp for schedule(static)
      for (std::int64_t n = 0; n < num; ++n) first(n, block);
#pragma omp single
      join(block);
#pragma omp for schedule(static) nowait
      for (std::int64_t n = 0; n < num; ++n) second(n, block);
    }
  }
}

/// body(block) for all blocks of channels: what joins the sums of the images.
template <typename Body>
void for_each_channel_block(const dnn::ChannelBlocks& images, const Body& body) {
  constexpr std::int64_t kSerialSums = 1024;
  const std::int64_t blocks = images.blocks();
#pragma omp parallel for schedule(static) if (blocks * images.lanes * images.num >= kSerialSums)
  for (std::int64_t block = 0; block < blocks; ++block) body(block);
}

template <typename Body>
void for_each_block(const dnn::ChannelBlocks& images, const Body& body) {
  const std::int64_t num = images.num;
  const std::int64_t blocks = images.blocks();
#pragma omp parallel for collapse(2) schedule(static) if (images.size() >= kSerialBelow)
  for (std::int64_t n = 0; n < num; ++n)
    for (std::int64_t block = 0; block < blocks; ++block) body(n, block);
}

}  // namespace branchy::kernels
