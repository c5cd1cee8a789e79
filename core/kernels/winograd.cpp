#include "core/kernels/winograd.h"

#include <omp.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/dnn/tensor_access.h"
#include "core/error.h"
#include "core/kernels/batch_norm_passes.h"
#include "core/kernels/instruction_sets.h"
#include "core/kernels/parallel.h"

namespace branchy::kernels {

namespace {

using dnn::ChannelBlocks;
using dnn::TensorAccess;

constexpr std::int64_t kTaps = 9;
constexpr std::int64_t kLine = 16;  // floats of a cache line
/// Fewer tiles at a time would read the weights too often.
constexpr std::int64_t kLeastTiles = 96;

const WinogradKernels& kernels_for(std::int64_t lanes) {
  return best_kernels<WinogradKernels>(lanes, winograd_portable, winograd_avx2, winograd_avx512);
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// `size` images cut into the tiles of a result of `height` x `width`.
WinogradImages tiled(const ChannelBlocks& size, std::int64_t origin, std::int64_t height,
                     std::int64_t width) {
  return {.blocks = size.blocks(),
          .height = size.height,
          .width = size.width,
          .origin = origin,
          .tiles_high = divide_up(height, kWinogradTile),
          .tiles_wide = divide_up(width, kWinogradTile)};
}

/// A line more than the tiles need, so that the 36 points of a tile lie in different cache sets.
WinogradLayout layout_of(std::int64_t blocks, std::int64_t tiles, std::int64_t lanes) {
  return {.point_stride = blocks * tiles * lanes + kLine, .block_stride = tiles * lanes};
}

/// Tiles that are transformed before they are multiplied: what they become should stay in the
/// second cache, but serve for enough products to pay for reading the weights.
std::int64_t chunk_of(std::int64_t tiles, std::int64_t in, std::int64_t out) {
  constexpr std::int64_t kCacheFloats = 160 * 1024;
  constexpr std::int64_t kRows = 12;
  const std::int64_t fitting = kCacheFloats / (kWinogradPoints * (in + out));
  const std::int64_t least = in * out >= 128 * 128 ? kLeastTiles : 2 * kRows;
  const std::int64_t chunk = divide_up(std::clamp(fitting, least, 2 * kLeastTiles), kRows) * kRows;
  return std::min(chunk, tiles);
}

/// Part `index` of `parts` of 0 .. size.
struct Share {
  Share(std::int64_t size, std::int64_t parts, std::int64_t index)
      : begin(size * index / parts), end(size * (index + 1) / parts) {}
  std::int64_t begin, end;
};

/// Weight `tap` of each lane's output channel, from input channel `c`; zero in the padding.
void gather_taps(const Tensor& weights, WinogradTaps taps, std::int64_t c, std::int64_t block,
                 std::int64_t lanes, float* lines) {
  const auto from = weights.data();
  const std::int64_t in = taps == WinogradTaps::kForward ? weights.dim(1) : weights.dim(0);
  const std::int64_t out = taps == WinogradTaps::kForward ? weights.dim(0) : weights.dim(1);
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    const std::int64_t k = block * lanes + lane;
    for (std::int64_t tap = 0; tap < kTaps; ++tap) {
      float value = 0.0F;
      if (k < out && c < in)
        value = taps == WinogradTaps::kForward
                    ? from[static_cast<std::size_t>((k * in + c) * kTaps + tap)]
                    : from[static_cast<std::size_t>((c * out + k) * kTaps + kTaps - 1 - tap)];
      lines[tap * lanes + lane] = value;
    }
  }
}

/// Where the line of output block `block` and input channel `c` lies at a point: pairs of blocks
/// side by side, an odd last one alone.
std::int64_t line_of(std::int64_t block, std::int64_t blocks, std::int64_t c, std::int64_t channels,
                     std::int64_t lanes) {
  const std::int64_t pair = block - block % 2;
  const std::int64_t width = blocks - pair > 1 ? 2 : 1;
  return pair * channels * lanes + (c * width + block % 2) * lanes;
}

std::int64_t num_tiles(const ChannelBlocks& images, const WinogradImages& tiles) {
  return images.num * tiles.tiles_per_image();
}

}  // namespace

WinogradWeights::WinogradWeights(const Tensor& weights, WinogradTaps taps, std::int64_t lanes)
    : lanes_(lanes),
      in_(weights.dim(taps == WinogradTaps::kForward ? 1 : 0)),
      out_(weights.dim(taps == WinogradTaps::kForward ? 0 : 1)),
      point_stride_(in_blocks() * out_blocks() * lanes * lanes + kLine),
      buffer_(static_cast<std::size_t>(kWinogradPoints * point_stride_) * sizeof(float)) {
  BRANCHY_DCHECK(weights.dim(2) == 3 && weights.dim(3) == 3);
  const WinogradKernels& kernels = kernels_for(lanes);
  const std::int64_t blocks = out_blocks();
  const std::int64_t channels = in_blocks() * lanes;
  static_cast<void>(weights.data());  // row-major before threads read it
#pragma omp parallel for collapse(2) schedule(static) if (blocks * channels >= 64)
  for (std::int64_t block = 0; block < blocks; ++block)
    for (std::int64_t c = 0; c < channels; ++c) {
      alignas(64) float lines[kTaps * 16];
      gather_taps(weights, taps, c, block, lanes, lines);
      kernels.transform_weights(
          lines, buffer_.floats() + line_of(block, blocks, c, channels, lanes), point_stride_);
    }
}

WinogradConvolution::WinogradConvolution(const ChannelBlocks& src, std::int64_t out,
                                         std::int64_t padding)
    : src_(src),
      dst_{src.num, out, src.height + 2 * padding - 2, src.width + 2 * padding - 2, src.lanes},
      from_(tiled(src_, -padding, dst_.height, dst_.width)),
      to_(tiled(dst_, 0, dst_.height, dst_.width)),
      threads_(omp_get_max_threads()) {
  BRANCHY_DCHECK(padding >= 0 && padding <= 2 && dst_.height > 0 && dst_.width > 0);
  const std::int64_t tiles = num_tiles(src_, from_);
  const std::int64_t pairs = divide_up(dst_.blocks(), 2);
  tile_parts_ = std::clamp<std::int64_t>(tiles / kLeastTiles, 1, threads_);
  block_parts_ = std::min(pairs, divide_up(threads_, tile_parts_));
  const std::int64_t blocks = divide_up(pairs, block_parts_) * 2;
  const std::int64_t lanes = src_.lanes;
  chunk_ = chunk_of(divide_up(tiles, tile_parts_), src_.blocks() * lanes, blocks * lanes);
  part_floats_ = kWinogradPoints * (layout_of(src_.blocks(), chunk_, lanes).point_stride +
                                    layout_of(blocks, chunk_, lanes).point_stride);
}

void WinogradConvolution::run(const float* src, const WinogradWeights& weights,
                              const WinogradFinish& finish, float* scratch, float* dst) const {
  BRANCHY_DCHECK(weights.in() == src_.channels && weights.out() == dst_.channels &&
                 weights.lanes() == src_.lanes);
  const std::int64_t parts = tile_parts_ * block_parts_;
#pragma omp parallel num_threads(static_cast <int>(threads_)) if (parts > 1)
  {
    // A team may be smaller than what was asked for.
    const std::int64_t team = omp_get_num_threads();
    for (std::int64_t part = omp_get_thread_num(); part < parts; part += team)
      run_part(part / block_parts_, part % block_parts_, src, weights, finish,
               scratch + omp_get_thread_num() * part_floats_, dst);
  }
}

void WinogradConvolution::run_part(std::int64_t tile_part, std::int64_t block_part,
                                   const float* src, const WinogradWeights& weights,
                                   const WinogradFinish& finish, float* scratch, float* dst) const {
  const WinogradKernels& kernels = kernels_for(src_.lanes);
  const Share tiles(num_tiles(src_, from_), tile_parts_, tile_part);
  const Share pairs(divide_up(dst_.blocks(), 2), block_parts_, block_part);
  const std::int64_t first_block = pairs.begin * 2;
  const std::int64_t blocks = std::min(pairs.end * 2, dst_.blocks()) - first_block;
  const WinogradLayout in = layout_of(src_.blocks(), chunk_, src_.lanes);
  const WinogradLayout out = layout_of(blocks, chunk_, src_.lanes);
  float* products = scratch + kWinogradPoints * in.point_stride;
  for (std::int64_t first = tiles.begin; first < tiles.end; first += chunk_) {
    const std::int64_t count = std::min(chunk_, tiles.end - first);
    kernels.transform_source(src, from_, {first, count, 0, src_.blocks()}, scratch, in);
    for (std::int64_t point = 0; point < kWinogradPoints; ++point)
      kernels.multiply(scratch + point * in.point_stride, in.block_stride,
                       weights.at(point, first_block), src_.blocks() * src_.lanes, count, blocks,
                       products + point * out.point_stride, out.block_stride);
    kernels.transform_result(products, out, to_, {first, count, first_block, first_block + blocks},
                             finish, dst);
  }
}

Tensor winograd_convolution(const Tensor& src, const Tensor& weights, const Tensor& bias,
                            WinogradTaps taps, std::int64_t padding) {
  const Tensor input = dnn::in_channel_blocks(src);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const WinogradWeights points(weights, taps, images.lanes);
  const WinogradConvolution convolution(images, points.out(), padding);
  const ChannelBlocks& results = convolution.dst();
  Tensor dst = dnn::empty_in_channel_blocks(
      Shape{results.num, results.channels, results.height, results.width}, images.lanes);
  const Buffer scratch(static_cast<std::size_t>(convolution.scratch_floats()) * sizeof(float));
  WinogradFinish finish{.clip = clip_of({})};
  std::optional<PerChannel> padded_bias;
  if (bias.defined()) finish.bias = padded_bias.emplace(results, bias).data();
  convolution.run(TensorAccess::physical(input), points, finish, scratch.floats(),
                  TensorAccess::mutable_physical(dst));
  return dst;
}

namespace {

/// The weight gradient at the 36 points, before it is transformed back. Either each thread has all
/// channels of its tiles, and a sum of its own, or all tiles of its channels.
class GradientSums {
 public:
  GradientSums(const ChannelBlocks& src, const ChannelBlocks& diff, std::int64_t padding)
      : src_(src),
        diff_(diff),
        from_(tiled(src, -padding, diff.height, diff.width)),
        to_(tiled(diff, 0, diff.height, diff.width)),
        threads_(omp_get_max_threads()),
        channels_(src.blocks() * src.lanes),
        point_stride_(channels_ * diff.blocks() * src.lanes + kLine) {
    // Sums of their own would fill the caches when there are many channels.
    constexpr std::int64_t kOwnSums = 1'000'000;
    const bool by_tiles = kWinogradPoints * point_stride_ <= kOwnSums;
    const std::int64_t tiles = num_tiles(src_, from_);
    tile_parts_ = by_tiles ? std::clamp<std::int64_t>(tiles / kLeastTiles, 1, threads_) : 1;
    block_parts_ = by_tiles ? 1 : std::min(threads_, src_.blocks());
    const std::int64_t blocks = divide_up(src_.blocks(), block_parts_);
    chunk_ =
        chunk_of(divide_up(tiles, tile_parts_), blocks * src_.lanes, diff_.blocks() * src_.lanes);
    part_floats_ = kWinogradPoints * (layout_of(blocks, chunk_, src_.lanes).point_stride +
                                      layout_of(diff_.blocks(), chunk_, src_.lanes).point_stride);
    sums_ = Buffer(static_cast<std::size_t>(tile_parts_ * kWinogradPoints * point_stride_) *
                   sizeof(float));
  }

  void run(const float* src, const float* diff) {
    const Buffer scratch(static_cast<std::size_t>(threads_ * part_floats_) * sizeof(float));
    const std::int64_t parts = tile_parts_ * block_parts_;
#pragma omp parallel num_threads(static_cast <int>(threads_)) if (parts > 1)
    {
      const std::int64_t team = omp_get_num_threads();
      for (std::int64_t part = omp_get_thread_num(); part < parts; part += team)
        run_part(part / block_parts_, part % block_parts_, src, diff,
                 scratch.floats() + omp_get_thread_num() * part_floats_);
    }
    const std::int64_t floats = kWinogradPoints * point_stride_;
    for (std::int64_t part = 1; part < tile_parts_; ++part) add(sums(part), sums(0), floats);
  }

  [[nodiscard]] Tensor gradient() const {
    const WinogradKernels& kernels = kernels_for(src_.lanes);
    const std::int64_t lanes = src_.lanes;
    const std::int64_t out = diff_.channels;
    const std::int64_t in = src_.channels;
    Tensor gradient(Shape{out, in, 3, 3});
    float* to = gradient.mutable_data().data();
    const std::int64_t blocks = diff_.blocks();
#pragma omp parallel for collapse(2) schedule(static) if (blocks * in >= 64)
    for (std::int64_t block = 0; block < blocks; ++block)
      for (std::int64_t c = 0; c < in; ++c) {
        alignas(64) float lines[kTaps * 16];
        kernels.transform_gradient(sums(0) + line_of(block, blocks, c, channels_, lanes),
                                   point_stride_, lines);
        const std::int64_t held = std::min(lanes, out - block * lanes);
        for (std::int64_t lane = 0; lane < held; ++lane)
          for (std::int64_t tap = 0; tap < kTaps; ++tap)
            to[((block * lanes + lane) * in + c) * kTaps + tap] = lines[tap * lanes + lane];
      }
    return gradient;
  }

 private:
  [[nodiscard]] float* sums(std::int64_t part) const {
    return sums_.floats() + part * kWinogradPoints * point_stride_;
  }

  static void add(const float* from, float* to, std::int64_t floats) {
    parallel_ranges(floats, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
    });
  }

  void run_part(std::int64_t tile_part, std::int64_t block_part, const float* src,
                const float* diff, float* scratch) const {
    const WinogradKernels& kernels = kernels_for(src_.lanes);
    const std::int64_t lanes = src_.lanes;
    const Share tiles(num_tiles(src_, from_), tile_parts_, tile_part);
    const Share own(src_.blocks(), block_parts_, block_part);
    const WinogradLayout in = layout_of(own.end - own.begin, chunk_, lanes);
    const WinogradLayout out = layout_of(diff_.blocks(), chunk_, lanes);
    float* diffs = scratch + kWinogradPoints * in.point_stride;
    clear(tile_part, own);
    for (std::int64_t first = tiles.begin; first < tiles.end; first += chunk_) {
      const std::int64_t count = std::min(chunk_, tiles.end - first);
      kernels.transform_source(src, from_, {first, count, own.begin, own.end}, scratch, in);
      kernels.transform_diff(diff, to_, {first, count, 0, diff_.blocks()}, diffs, out);
      for (std::int64_t point = 0; point < kWinogradPoints; ++point)
        kernels.accumulate({.patches = scratch + point * in.point_stride,
                            .patch_block_stride = in.block_stride,
                            .diffs = diffs + point * out.point_stride,
                            .diff_block_stride = out.block_stride,
                            .channels = channels_,
                            .first_channel = own.begin * lanes,
                            .end_channel = own.end * lanes,
                            .tiles = count,
                            .out_blocks = diff_.blocks()},
                           sums(tile_part) + point * point_stride_);
    }
  }

  void clear(std::int64_t tile_part, const Share& own) const {
    const std::int64_t lanes = src_.lanes;
    const std::int64_t blocks = diff_.blocks();
    for (std::int64_t point = 0; point < kWinogradPoints; ++point)
      for (std::int64_t block = 0; block < blocks; block += 2) {
        const std::int64_t width = (blocks - block > 1 ? 2 : 1) * lanes;
        float* pair = sums(tile_part) + point * point_stride_ + block * channels_ * lanes;
        std::fill(pair + own.begin * lanes * width, pair + own.end * lanes * width, 0.0F);
      }
  }

  ChannelBlocks src_, diff_;
  WinogradImages from_, to_;
  std::int64_t threads_, channels_, point_stride_;
  std::int64_t tile_parts_ = 1, block_parts_ = 1, chunk_ = 1, part_floats_ = 0;
  Buffer sums_;
};

}  // namespace

Tensor winograd_weight_gradient(const Tensor& src, const Tensor& diff_dst, std::int64_t padding) {
  const Tensor input = dnn::in_channel_blocks(src);
  const ChannelBlocks images = dnn::channel_blocks_of(input);
  const Tensor diff = dnn::in_channel_blocks(diff_dst, images.lanes);
  GradientSums sums(images, dnn::channel_blocks_of(diff), padding);
  sums.run(TensorAccess::physical(input), TensorAccess::physical(diff));
  return sums.gradient();
}

}  // namespace branchy::kernels
