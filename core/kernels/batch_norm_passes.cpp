#include "core/kernels/batch_norm_passes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/kernels/instruction_sets.h"

namespace branchy::kernels {

using dnn::ChannelBlocks;

const BatchNormKernels& batch_norm_kernels_for(std::int64_t lanes) {
  return best_kernels<BatchNormKernels>(lanes, batch_norm_portable, batch_norm_avx2,
                                        batch_norm_avx512);
}

Clip clip_of(const std::optional<ActivationKind>& activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!activation) return {-kInfinity, kInfinity};
  BRANCHY_DCHECK(*activation != ActivationKind::kSigmoid);
  return {0.0F, *activation == ActivationKind::kRelu6 ? 6.0F : kInfinity};
}

PerChannel::PerChannel(const ChannelBlocks& images)
    : buffer_(static_cast<std::size_t>(images.blocks() * images.lanes) * sizeof(float)) {
  std::fill_n(buffer_.floats(), images.blocks() * images.lanes, 0.0F);
}

PerChannel::PerChannel(const ChannelBlocks& images, const Tensor& values) : PerChannel(images) {
  const auto from = values.data();
  std::copy(from.begin(), from.end(), buffer_.floats());
}

Tensor PerChannel::first(std::int64_t channels) const {
  return Tensor::from(Shape{channels}, {buffer_.floats(), static_cast<std::size_t>(channels)});
}

NormLine::NormLine(const ChannelBlocks& images, const BatchNormParams& params,
                   const BatchNormStatistics& statistics)
    : mean(images, statistics.mean), scale(images), shift(images, params.shift) {
  const auto variance = statistics.variance.data();
  const auto gamma = params.scale.data();
  for (std::size_t c = 0; c < gamma.size(); ++c)
    scale.data()[c] = gamma[c] / std::sqrt(variance[c] + params.epsilon);
}

namespace {

/// Joins means and deviations of the images (Chan, Golub, LeVeque 1983): all have equally many
/// pixels, so the mean is that of the means.
struct JoinedStatistics {
  double mean, variance;
};
JoinedStatistics joined_statistics(const PerImage& parts, const ChannelBlocks& images,
                                   std::int64_t block, std::int64_t lane) {
  double mean = 0.0;
  for (std::int64_t n = 0; n < images.num; ++n)
    mean += static_cast<double>(parts.at(0, n, block)[lane]);
  mean /= static_cast<double>(images.num);
  double deviation = 0.0;
  for (std::int64_t n = 0; n < images.num; ++n) {
    const double delta = static_cast<double>(parts.at(0, n, block)[lane]) - mean;
    deviation += static_cast<double>(parts.at(1, n, block)[lane]) +
                 static_cast<double>(images.pixels()) * delta * delta;
  }
  return {mean, deviation / static_cast<double>(images.num * images.pixels())};
}

}  // namespace

void join_statistics(const ChannelBlocks& images, const PerImage& parts, std::int64_t block,
                     const BatchNormParams& params, const NormLine& line,
                     const PerChannel& variance) {
  const auto gamma = params.scale.data();
  for (std::int64_t lane = 0; lane < images.lanes; ++lane) {
    const std::int64_t c = block * images.lanes + lane;
    if (c >= images.channels) return;
    const JoinedStatistics joined = joined_statistics(parts, images, block, lane);
    line.mean.data()[c] = static_cast<float>(joined.mean);
    variance.data()[c] = static_cast<float>(joined.variance);
    line.scale.data()[c] =
        gamma[static_cast<std::size_t>(c)] / std::sqrt(variance.data()[c] + params.epsilon);
  }
}

// With x^ = (x - mean) / sigma and g the gradient behind the activation, over the M values of a
// channel: d shift = sum g, d scale = sum g x^, and for statistics of the source
// d x = scale / sigma (g - sum g / M - x^ sum(g x^) / M) (Ioffe, Szegedy 2015, section 3).
void NormDiffs::join(const ChannelBlocks& images, const PerImage& parts, std::int64_t block,
                     const NormLine& line, const BatchNormStatistics& statistics, float epsilon,
                     StatisticsOf of) const {
  const auto variances = statistics.variance.data();
  const double count = static_cast<double>(images.num * images.pixels());
  for (std::int64_t lane = 0; lane < images.lanes; ++lane) {
    const std::int64_t c = block * images.lanes + lane;
    if (c >= images.channels) return;
    double sum = 0.0;
    double product = 0.0;
    for (std::int64_t n = 0; n < images.num; ++n) {
      sum += static_cast<double>(parts.at(0, n, block)[lane]);
      product += static_cast<double>(parts.at(1, n, block)[lane]);
    }
    const double inverse =
        1.0 / static_cast<double>(variances[static_cast<std::size_t>(c)] + epsilon);
    shift.data()[c] = static_cast<float>(sum);
    scale.data()[c] = static_cast<float>(product * std::sqrt(inverse));
    if (of == StatisticsOf::kConstant) continue;
    const double line_scale = static_cast<double>(line.scale.data()[c]);
    by_src.data()[c] = static_cast<float>(-line_scale * inverse * product / count);
    by_one.data()[c] = static_cast<float>(-line_scale * sum / count);
  }
}

}  // namespace branchy::kernels
