#include "core/kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "core/buffer_pool.h"
#include "core/dnn/channel_blocks.h"
#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "core/kernels/batch_norm_kernels.h"
#include "core/kernels/parallel.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

const BatchNormKernels& kernels_for(std::int64_t lanes) {
#if defined(__x86_64__)
  if (lanes == 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return batch_norm_avx512(lanes);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return batch_norm_avx2(lanes);
#endif
  return batch_norm_portable(lanes);
}

Clip clip_of(const std::optional<ActivationKind>& activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!activation) return {-kInfinity, kInfinity};
  BRANCHY_DCHECK(*activation != ActivationKind::kSigmoid);
  return {0.0F, *activation == ActivationKind::kRelu6 ? 6.0F : kInfinity};
}

/// One value a channel, padded with zeros to whole blocks.
class PerChannel {
 public:
  explicit PerChannel(const ChannelBlocks& images)
      : buffer_(static_cast<std::size_t>(images.blocks() * images.lanes) * sizeof(float)) {
    std::fill_n(buffer_.floats(), images.blocks() * images.lanes, 0.0F);
  }
  PerChannel(const ChannelBlocks& images, const Tensor& values) : PerChannel(images) {
    const auto from = values.data();
    std::copy(from.begin(), from.end(), buffer_.floats());
  }
  [[nodiscard]] float* data() const { return buffer_.floats(); }
  [[nodiscard]] Tensor first(std::int64_t channels) const {
    return Tensor::from(Shape{channels}, {buffer_.floats(), static_cast<std::size_t>(channels)});
  }

 private:
  Buffer buffer_;
};

/// Two values a channel of each image.
class PerImage {
 public:
  explicit PerImage(const ChannelBlocks& images)
      : images_(images),
        floats_(images.num * images.blocks() * images.lanes),
        buffer_(static_cast<std::size_t>(2 * floats_) * sizeof(float)) {}
  [[nodiscard]] float* first(std::int64_t n, std::int64_t block) const {
    return buffer_.floats() + (n * images_.blocks() + block) * images_.lanes;
  }
  [[nodiscard]] float* second(std::int64_t n, std::int64_t block) const {
    return first(n, block) + floats_;
  }

 private:
  ChannelBlocks images_;
  std::int64_t floats_;
  Buffer buffer_;
};

/// What both directions know of each channel.
struct Line {
  Line(const ChannelBlocks& images, const BatchNormParams& params)
      : mean(images), scale(images), shift(images, params.shift) {}
  Line(const ChannelBlocks& images, const BatchNormParams& params,
       const BatchNormStatistics& statistics)
      : mean(images, statistics.mean), scale(images), shift(images, params.shift) {
    const auto variance = statistics.variance.data();
    const auto gamma = params.scale.data();
    for (std::size_t c = 0; c < gamma.size(); ++c)
      scale.data()[c] = gamma[c] / std::sqrt(variance[c] + params.epsilon);
  }
  [[nodiscard]] BatchNormLine at(std::int64_t channel) const {
    return {mean.data() + channel, scale.data() + channel, shift.data() + channel};
  }

  PerChannel mean, scale, shift;
};

/// first(n, block) for all images n, join(block), then second(n, block) for all n. A thread takes
/// whole blocks, whose images may then still be in its cache; blocks that are left over are shared
/// image by image.
template <typename First, typename Join, typename Second>
void in_two_passes(const ChannelBlocks& images, const First& first, const Join& join,
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

template <typename Body>
void for_each_block(const ChannelBlocks& images, const Body& body) {
  const std::int64_t num = images.num;
  const std::int64_t blocks = images.blocks();
#pragma omp parallel for collapse(2) schedule(static) if (images.size() >= kSerialBelow)
  for (std::int64_t n = 0; n < num; ++n)
    for (std::int64_t block = 0; block < blocks; ++block) body(n, block);
}

/// Joins means and deviations of the images (Chan, Golub, LeVeque 1983): all have equally many
/// pixels, so the mean is that of the means.
struct JoinedStatistics {
  double mean, variance;
};
JoinedStatistics join_statistics(const PerImage& parts, std::int64_t num, std::int64_t pixels,
                                 std::int64_t block, std::int64_t lane) {
  double mean = 0.0;
  for (std::int64_t n = 0; n < num; ++n) mean += static_cast<double>(parts.first(n, block)[lane]);
  mean /= static_cast<double>(num);
  double deviation = 0.0;
  for (std::int64_t n = 0; n < num; ++n) {
    const double delta = static_cast<double>(parts.first(n, block)[lane]) - mean;
    deviation += static_cast<double>(parts.second(n, block)[lane]) +
                 static_cast<double>(pixels) * delta * delta;
  }
  return {mean, deviation / static_cast<double>(num * pixels)};
}

}  // namespace

BatchNormResult batch_norm(const Tensor& src, const BatchNormParams& params) {
  const Tensor input = dnn::in_channel_blocks(src);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const BatchNormKernels& kernels = kernels_for(images.lanes);
  const Clip clip = clip_of(params.activation);
  const Line line(images, params);
  const PerChannel variance(images);
  const PerImage parts(images);
  Tensor dst = dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  const std::span<const float> gamma = params.scale.data();
  const auto join = [&](std::int64_t block) {
    for (std::int64_t lane = 0; lane < images.lanes; ++lane) {
      const std::int64_t c = block * images.lanes + lane;
      if (c >= images.channels) return;
      const auto joined = join_statistics(parts, images.num, images.pixels(), block, lane);
      line.mean.data()[c] = static_cast<float>(joined.mean);
      variance.data()[c] = static_cast<float>(joined.variance);
      line.scale.data()[c] =
          gamma[static_cast<std::size_t>(c)] / std::sqrt(variance.data()[c] + params.epsilon);
    }
  };
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        kernels.statistics(x + images.offset(n, block), images.pixels(), parts.first(n, block),
                           parts.second(n, block));
      },
      join,
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        kernels.normalize(x + at, images.pixels(), line.at(block * images.lanes), clip, y + at);
      });
  return {std::move(dst), {line.mean.first(images.channels), variance.first(images.channels)}};
}

Tensor batch_norm_with(const Tensor& src, const BatchNormParams& params,
                       const BatchNormStatistics& statistics) {
  const Tensor input = dnn::in_channel_blocks(src);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const BatchNormKernels& kernels = kernels_for(images.lanes);
  const Clip clip = clip_of(params.activation);
  const Line line(images, params, statistics);
  Tensor dst = dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  float* y = TensorAccess::mutable_physical(dst);
  for_each_block(images, [&](std::int64_t n, std::int64_t block) {
    const std::int64_t at = images.offset(n, block);
    kernels.normalize(x + at, images.pixels(), line.at(block * images.lanes), clip, y + at);
  });
  return dst;
}

// With x^ = (x - mean) / sigma and g the gradient behind the activation, over the M values of a
// channel: d shift = sum g, d scale = sum g x^, and for statistics of the source
// d x = scale / sigma (g - sum g / M - x^ sum(g x^) / M) (Ioffe, Szegedy 2015, section 3).
BatchNormGradients batch_norm_backward(Tensor diff_dst, const Tensor& src,
                                       const BatchNormParams& params,
                                       const BatchNormStatistics& statistics, StatisticsOf of) {
  const Tensor input = dnn::in_channel_blocks(src);
  const Tensor diff = dnn::in_layout_of(std::exchange(diff_dst, Tensor()), input);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const BatchNormKernels& kernels = kernels_for(images.lanes);
  const Clip clip = clip_of(params.activation);
  const Line line(images, params, statistics);
  const PerChannel by_src(images);
  const PerChannel by_one(images);
  const PerChannel d_scale(images);
  const PerChannel d_shift(images);
  const PerImage parts(images);
  Tensor diff_src = TensorAccess::sole_owner(diff) ? diff : dnn::empty_like(input);
  const float* x = TensorAccess::physical(input);
  const float* dy = TensorAccess::physical(diff);
  float* dx = TensorAccess::mutable_physical(diff_src);
  const std::span<const float> variances = statistics.variance.data();
  const auto join = [&](std::int64_t block) {
    const double count = static_cast<double>(images.num * images.pixels());
    for (std::int64_t lane = 0; lane < images.lanes; ++lane) {
      const std::int64_t c = block * images.lanes + lane;
      if (c >= images.channels) return;
      double sum = 0.0;
      double product = 0.0;
      for (std::int64_t n = 0; n < images.num; ++n) {
        sum += static_cast<double>(parts.first(n, block)[lane]);
        product += static_cast<double>(parts.second(n, block)[lane]);
      }
      const double inverse =
          1.0 / static_cast<double>(variances[static_cast<std::size_t>(c)] + params.epsilon);
      d_shift.data()[c] = static_cast<float>(sum);
      d_scale.data()[c] = static_cast<float>(product * std::sqrt(inverse));
      if (of == StatisticsOf::kConstant) continue;
      const double scale = static_cast<double>(line.scale.data()[c]);
      by_src.data()[c] = static_cast<float>(-scale * inverse * product / count);
      by_one.data()[c] = static_cast<float>(-scale * sum / count);
    }
  };
  in_two_passes(
      images,
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        kernels.reduce(x + at, dy + at, images.pixels(), line.at(block * images.lanes), clip,
                       parts.first(n, block), parts.second(n, block));
      },
      join,
      [&](std::int64_t n, std::int64_t block) {
        const std::int64_t at = images.offset(n, block);
        const std::int64_t c = block * images.lanes;
        kernels.differentiate(x + at, dy + at, images.pixels(), line.at(c), clip, by_src.data() + c,
                              by_one.data() + c, dx + at);
      });
  return {std::move(diff_src), d_scale.first(images.channels), d_shift.first(images.channels)};
}

}  // namespace branchy::kernels
