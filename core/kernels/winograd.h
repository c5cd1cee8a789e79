// 3x3 convolution with stride 1 by Winograd's F(4x4, 3x3): forward, data and weight gradient.
#pragma once

#include <cstdint>

#include "core/buffer_pool.h"
#include "core/dnn/channel_blocks.h"
#include "core/kernels/winograd_kernels.h"
#include "core/tensor.h"

namespace branchy::kernels {

/// Which convolution the weights [O,C,3,3] stand for: their own, C to O channels, or that of the
/// data gradient, O to C channels with the taps turned by half a turn.
enum class WinogradTaps { kForward, kTurned };

/// Weights at the 36 points, in the order of the products. 4 times as large as the weights.
class WinogradWeights {
 public:
  WinogradWeights(const Tensor& weights, WinogradTaps taps, std::int64_t lanes);

  [[nodiscard]] std::int64_t lanes() const { return lanes_; }
  [[nodiscard]] std::int64_t in() const { return in_; }
  [[nodiscard]] std::int64_t out() const { return out_; }
  [[nodiscard]] std::int64_t in_blocks() const { return (in_ + lanes_ - 1) / lanes_; }
  [[nodiscard]] std::int64_t out_blocks() const { return (out_ + lanes_ - 1) / lanes_; }
  /// For output blocks from an even one on.
  [[nodiscard]] const float* at(std::int64_t point, std::int64_t block) const {
    return buffer_.floats() + point * point_stride_ + block * in_blocks() * lanes_ * lanes_;
  }

 private:
  std::int64_t lanes_, in_, out_, point_stride_;
  Buffer buffer_;
};

/// One convolution of images in channel blocks: how it is shared out to the threads of the calling
/// one, and what room it needs. The bits depend on neither threads nor the other images.
class WinogradConvolution {
 public:
  /// padding 0, 1 or 2. Gives [num, out, height + 2 padding - 2, width + 2 padding - 2].
  WinogradConvolution(const dnn::ChannelBlocks& src, std::int64_t out, std::int64_t padding);

  [[nodiscard]] const dnn::ChannelBlocks& dst() const { return dst_; }
  [[nodiscard]] std::int64_t scratch_floats() const { return threads_ * part_floats_; }
  /// `scratch` is aligned to the lanes, as are all others.
  void run(const float* src, const WinogradWeights& weights, const WinogradFinish& finish,
           float* scratch, float* dst) const;

 private:
  void run_part(std::int64_t tile_part, std::int64_t block_part, const float* src,
                const WinogradWeights& weights, const WinogradFinish& finish, float* scratch,
                float* dst) const;

  dnn::ChannelBlocks src_, dst_;
  WinogradImages from_, to_;
  std::int64_t threads_, tile_parts_, block_parts_, chunk_, part_floats_;
};

/// src [N,C,H,W] convolved with the weights. `bias` may be undefined; only for kForward.
[[nodiscard]] Tensor winograd_convolution(const Tensor& src, const Tensor& weights,
                                          const Tensor& bias, WinogradTaps taps,
                                          std::int64_t padding);
/// [O,C,3,3]. The bits depend on the number of threads.
[[nodiscard]] Tensor winograd_weight_gradient(const Tensor& src, const Tensor& diff_dst,
                                              std::int64_t padding);

}  // namespace branchy::kernels
