#include "core/kernels/bottleneck.h"

#include <algorithm>
#include <utility>

#include "core/dnn/pointwise.h"
#include "core/dnn/tensor_access.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/kernels/norm_depthwise_passes.h"
#include "core/step_profile.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

/// The largest divisor of the batch that keeps to the limit; 1 where one image is more.
std::int64_t images_together(const ChannelBlocks& hidden, const ChannelBlocks& behind,
                             std::int64_t most_floats) {
  const std::int64_t floats = (hidden.size() + behind.size()) / hidden.num;
  std::int64_t count = std::clamp<std::int64_t>(most_floats / floats, 1, hidden.num);
  while (hidden.num % count != 0) --count;
  return count;
}

ChannelBlocks with_channels(ChannelBlocks images, std::int64_t channels) {
  images.channels = channels;
  return images;
}

Shape shape_of(const ChannelBlocks& b) { return {b.num, b.channels, b.height, b.width}; }

std::size_t bytes_of(const ChannelBlocks& images, std::int64_t count) {
  return static_cast<std::size_t>(images.size() / images.num * count) * sizeof(float);
}

/// A batch norm between two passes: what is known of its channels.
struct Norm {
  Norm(const ChannelBlocks& b, const BatchNormParams& p)
      : images(b), params(p), line(b, p), clip(clip_of(p.activation)), variance(b), parts(b) {}
  Norm(const ChannelBlocks& b, const BatchNormParams& p, const BatchNormStatistics& s,
       std::int64_t values = 2)
      : images(b),
        params(p),
        line(b, p, s),
        clip(clip_of(p.activation)),
        variance(b),
        parts(b, values) {}

  [[nodiscard]] BatchNormLine line_of(std::int64_t block) const {
    return line.at(block * images.lanes);
  }
  void join_statistics() const {
    for_each_channel_block(images, [&](std::int64_t block) {
      kernels::join_statistics(images, parts, block, params, line, variance);
    });
  }
  [[nodiscard]] BatchNormStatistics statistics() const {
    return {line.mean.first(images.channels), variance.first(images.channels)};
  }
  [[nodiscard]] NormDiffs join_diffs(const BatchNormStatistics& statistics) const {
    NormDiffs diffs(images);
    for_each_channel_block(images, [&](std::int64_t block) {
      diffs.join(images, parts, block, line, statistics, params.epsilon, StatisticsOf::kSource);
    });
    return diffs;
  }

  ChannelBlocks images;
  const BatchNormParams& params;
  NormLine line;
  Clip clip;
  PerChannel variance;
  PerImage parts;
};

}  // namespace

struct Bottleneck::Impl {
  Impl(const BottleneckShape& s, std::int64_t most_floats)
      : shape(s),
        lanes(dnn::blocked_lanes()),
        src{s.src[0], s.src[1], s.src[2], s.src[3], lanes},
        hidden(with_channels(src, s.hidden)),
        behind(blocks_behind(hidden, s.stride)),
        out(with_channels(behind, s.out)),
        together(images_together(hidden, behind, most_floats)),
        expand({together, src.channels, hidden.channels, src.height, src.width, lanes}),
        project({together, hidden.channels, out.channels, behind.height, behind.width, lanes}),
        norms(batch_norm_kernels_for(lanes)),
        depthwise(norm_depthwise_kernels_for(lanes)) {}

  template <typename Body>
  void in_chunks(const Body& body) const {
    for (std::int64_t first = 0; first < src.num; first += together) body(first);
  }

  /// body(n, block) for the images of the chunk that begins with `first`, on all threads.
  template <typename Body>
  void for_each_in_chunk(const ChannelBlocks& images, std::int64_t first, const Body& body) const {
    ChannelBlocks chunk = images;
    chunk.num = together;
    for_each_block(chunk, [&](std::int64_t n, std::int64_t block) { body(first + n, block); });
  }

  /// Statistics of images that were just written.
  void gather(const Norm& norm, std::int64_t first, const float* values) const {
    const ChannelBlocks& b = norm.images;
    const TimedWork work(StepWork::kNorm);
    for_each_in_chunk(b, first, [&](std::int64_t n, std::int64_t block) {
      norms.statistics(values + b.offset(n, block), b.pixels(), norm.parts.at(0, n, block),
                       norm.parts.at(1, n, block));
    });
  }

  /// The chunk's images normalised, into `dst`, which begins with it.
  void normalize(const Norm& norm, std::int64_t first, const float* values, float* dst) const {
    const ChannelBlocks& b = norm.images;
    const TimedWork work(StepWork::kNorm, floats_moved(b.channels * b.pixels() * together));
    for_each_in_chunk(b, first, [&](std::int64_t n, std::int64_t block) {
      norms.normalize(values + b.offset(n, block), b.pixels(), norm.line_of(block), norm.clip,
                      dst + b.offset(n - first, block));
    });
  }

  /// The sums that the gradient of a norm's source needs.
  void reduce(const Norm& norm, std::int64_t first, const float* values, const float* diff) const {
    const ChannelBlocks& b = norm.images;
    const TimedWork work(StepWork::kNorm, floats_moved(b.channels * b.pixels() * together));
    for_each_in_chunk(b, first, [&](std::int64_t n, std::int64_t block) {
      const std::int64_t at = b.offset(n, block);
      norms.reduce(values + at, diff + at, b.pixels(), norm.line_of(block), norm.clip,
                   norm.parts.at(0, n, block), norm.parts.at(1, n, block));
    });
  }

  /// The gradient of a norm's source, of image n to dst_of(n).
  template <typename DstOf>
  void differentiate(const Norm& norm, const NormDiffs& diffs, std::int64_t first,
                     const float* values, const float* diff, const DstOf& dst_of) const {
    const ChannelBlocks& b = norm.images;
    const TimedWork work(StepWork::kNorm, floats_moved(2 * b.channels * b.pixels() * together));
    for_each_in_chunk(b, first, [&](std::int64_t n, std::int64_t block) {
      const std::int64_t at = b.offset(n, block);
      const std::int64_t c = block * lanes;
      norms.differentiate(values + at, diff + at, b.pixels(), norm.line_of(block), norm.clip,
                          diffs.by_src.data() + c, diffs.by_one.data() + c, dst_of(n, block));
    });
  }

  Tensor forward_projection(const Norm& norm, const float* convolved, const Norm& next,
                            const Tensor& weights);
  Tensor backward_projection(const Norm& norm, const Norm& next, const NormDiffs& next_diffs,
                             const BottleneckSaved& saved, const float* diff,
                             const Tensor& weights);
  Tensor backward_expansion(const Norm& norm, const NormDiffs& diffs, const DepthwisePasses& passes,
                            const BottleneckSaved& saved, const float* diff, const Tensor& weights,
                            bool wants_src);

  BottleneckShape shape;
  std::int64_t lanes;
  ChannelBlocks src, hidden, behind, out;
  std::int64_t together;  ///< images of a chunk
  dnn::Pointwise expand, project;
  const BatchNormKernels& norms;
  const NormDepthwiseKernels& depthwise;
};

Bottleneck::Bottleneck(const BottleneckShape& shape, std::int64_t most_floats)
    : impl_(std::make_unique<Impl>(shape, most_floats)) {}
Bottleneck::~Bottleneck() = default;
Bottleneck::Bottleneck(Bottleneck&&) noexcept = default;
Bottleneck& Bottleneck::operator=(Bottleneck&&) noexcept = default;

const BottleneckShape& Bottleneck::shape() const { return impl_->shape; }

Bottleneck::Result Bottleneck::forward(const Tensor& src, const BottleneckParams& params) {
  Impl& m = *impl_;
  BottleneckSaved saved;
  saved.src = dnn::in_channel_blocks(src, m.lanes);
  const float* x = TensorAccess::physical(saved.src);

  saved.expanded = dnn::empty_in_channel_blocks(shape_of(m.hidden), m.lanes);
  float* expanded = TensorAccess::mutable_physical(saved.expanded);
  const Norm first(m.hidden, params.expansion_norm);
  m.in_chunks([&](std::int64_t n) {
    m.expand.forward(x + m.src.offset(n, 0), params.expansion, expanded + m.hidden.offset(n, 0));
    m.gather(first, n, expanded);
  });
  first.join_statistics();

  saved.convolved = dnn::empty_in_channel_blocks(shape_of(m.behind), m.lanes);
  float* convolved = TensorAccess::mutable_physical(saved.convolved);
  const Norm second(m.behind, params.depthwise_norm);
  const DepthwisePasses passes(m.hidden, params.depthwise);
  {
    const TimedWork work(StepWork::kDepthwise, passes.amount(1));
    for_each_block(m.hidden, [&](std::int64_t n, std::int64_t block) {
      float* dst = convolved + m.behind.offset(n, block);
      m.depthwise.forward(expanded + m.hidden.offset(n, block), passes.plane(),
                          first.line_of(block), first.clip, passes.weights_of(block),
                          passes.scratch(), dst);
      m.norms.statistics(dst, m.behind.pixels(), second.parts.at(0, n, block),
                         second.parts.at(1, n, block));
    });
  }
  second.join_statistics();

  const Norm third(m.out, params.projection_norm);
  saved.projected = m.forward_projection(second, convolved, third, params.projection);
  third.join_statistics();
  saved.expansion = first.statistics();
  saved.depthwise = second.statistics();
  saved.projection = third.statistics();
  Tensor dst = batch_norm_with(saved.projected, params.projection_norm, saved.projection);
  return {std::move(dst), std::move(saved)};
}

Tensor Bottleneck::Impl::forward_projection(const Norm& norm, const float* convolved,
                                            const Norm& next, const Tensor& weights) {
  Tensor projected = dnn::empty_in_channel_blocks(shape_of(out), lanes);
  float* dst = TensorAccess::mutable_physical(projected);
  const Buffer normalized(bytes_of(behind, together));
  in_chunks([&](std::int64_t n) {
    normalize(norm, n, convolved, normalized.floats());
    project.forward(normalized.floats(), weights, dst + out.offset(n, 0));
    gather(next, n, dst);
  });
  return projected;
}

// The rules of the six operations, last to first: Ioffe, Szegedy 2015, section 3, and for the
// convolutions d src = transposed convolution of d dst, d weights = correlation of src and d dst.
BottleneckGradients Bottleneck::backward(const Tensor& diff_dst, const BottleneckSaved& saved,
                                         const BottleneckParams& params, bool wants_src) {
  Impl& m = *impl_;
  const Tensor input = dnn::in_channel_blocks(diff_dst, m.lanes);
  const float* diff = TensorAccess::physical(input);
  const float* expanded = TensorAccess::physical(saved.expanded);
  const float* convolved = TensorAccess::physical(saved.convolved);
  const Norm first(m.hidden, params.expansion_norm, saved.expansion, 2 + DepthwisePasses::kTaps);
  const Norm second(m.behind, params.depthwise_norm, saved.depthwise);
  const Norm third(m.out, params.projection_norm, saved.projection);

  m.in_chunks(
      [&](std::int64_t n) { m.reduce(third, n, TensorAccess::physical(saved.projected), diff); });
  const NormDiffs third_diffs = third.join_diffs(saved.projection);
  Tensor carried =
      m.backward_projection(second, third, third_diffs, saved, diff, params.projection);
  float* g = TensorAccess::mutable_physical(carried);
  const NormDiffs second_diffs = second.join_diffs(saved.depthwise);

  const DepthwisePasses passes(m.hidden, params.depthwise);
  m.in_chunks([&](std::int64_t begin) {
    m.differentiate(
        second, second_diffs, begin, convolved, g,
        [&](std::int64_t n, std::int64_t block) { return g + m.behind.offset(n, block); });
    const TimedWork work(StepWork::kDepthwise);
    m.for_each_in_chunk(m.hidden, begin, [&](std::int64_t n, std::int64_t block) {
      m.depthwise.reduce(expanded + m.hidden.offset(n, block), g + m.behind.offset(n, block),
                         passes.plane(), first.line_of(block), first.clip, passes.weights_of(block),
                         passes.scratch(), first.parts.at(0, n, block));
    });
  });
  const NormDiffs first_diffs = first.join_diffs(saved.expansion);

  const auto channels = [](const PerChannel& values, const ChannelBlocks& b) {
    return values.first(b.channels);
  };
  BottleneckGradients result;
  result.src =
      m.backward_expansion(first, first_diffs, passes, saved, g, params.expansion, wants_src);
  result.expansion = m.expand.weight_gradient();
  result.depthwise = passes.weight_gradient(first.parts);
  result.projection = m.project.weight_gradient();
  result.expansion_scale = channels(first_diffs.scale, m.hidden);
  result.expansion_shift = channels(first_diffs.shift, m.hidden);
  result.depthwise_scale = channels(second_diffs.scale, m.behind);
  result.depthwise_shift = channels(second_diffs.shift, m.behind);
  result.projection_scale = channels(third_diffs.scale, m.out);
  result.projection_shift = channels(third_diffs.shift, m.out);
  return result;
}

Tensor Bottleneck::Impl::backward_projection(const Norm& norm, const Norm& next,
                                             const NormDiffs& next_diffs,
                                             const BottleneckSaved& saved, const float* diff,
                                             const Tensor& weights) {
  Tensor carried = dnn::empty_in_channel_blocks(shape_of(behind), lanes);
  float* g = TensorAccess::mutable_physical(carried);
  const float* convolved = TensorAccess::physical(saved.convolved);
  const Buffer normalized(bytes_of(behind, together));
  const Buffer diff_projected(bytes_of(out, together));
  project.clear_weight_gradient();
  in_chunks([&](std::int64_t first) {
    differentiate(next, next_diffs, first, TensorAccess::physical(saved.projected), diff,
                  [&](std::int64_t n, std::int64_t block) {
                    return diff_projected.floats() + out.offset(n - first, block);
                  });
    normalize(norm, first, convolved, normalized.floats());
    project.add_weight_gradient(normalized.floats(), diff_projected.floats());
    project.backward_data(diff_projected.floats(), weights, g + behind.offset(first, 0));
    reduce(norm, first, convolved, g);
  });
  return carried;
}

Tensor Bottleneck::Impl::backward_expansion(const Norm& norm, const NormDiffs& diffs,
                                            const DepthwisePasses& passes,
                                            const BottleneckSaved& saved, const float* diff,
                                            const Tensor& weights, bool wants_src) {
  Tensor diff_src = wants_src ? dnn::empty_in_channel_blocks(shape.src, lanes) : Tensor();
  float* dx = wants_src ? TensorAccess::mutable_physical(diff_src) : nullptr;
  const float* x = TensorAccess::physical(saved.src);
  const float* expanded = TensorAccess::physical(saved.expanded);
  const Buffer diff_expanded(bytes_of(hidden, together));
  expand.clear_weight_gradient();
  in_chunks([&](std::int64_t first) {
    {
      const TimedWork work(StepWork::kDepthwise);
      for_each_in_chunk(hidden, first, [&](std::int64_t n, std::int64_t block) {
        const std::int64_t c = block * lanes;
        depthwise.differentiate(expanded + hidden.offset(n, block), diff + behind.offset(n, block),
                                passes.plane(), norm.line_of(block), norm.clip,
                                passes.weights_of(block), diffs.by_src.data() + c,
                                diffs.by_one.data() + c, passes.scratch(),
                                diff_expanded.floats() + hidden.offset(n - first, block));
      });
    }
    expand.add_weight_gradient(x + src.offset(first, 0), diff_expanded.floats());
    if (wants_src) expand.backward_data(diff_expanded.floats(), weights, dx + src.offset(first, 0));
  });
  return diff_src;
}

}  // namespace branchy::kernels
