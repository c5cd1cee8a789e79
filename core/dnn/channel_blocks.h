// Images whose channels lie in blocks: the layout that convolutions prefer and own kernels share.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace branchy::dnn {

/// [num][blocks][height][width][lanes]; the last block is padded with zeros.
struct ChannelBlocks {
  std::int64_t num, channels, height, width, lanes;
  [[nodiscard]] std::int64_t pixels() const { return height * width; }
  [[nodiscard]] std::int64_t blocks() const { return (channels + lanes - 1) / lanes; }
  [[nodiscard]] std::int64_t size() const { return num * blocks() * pixels() * lanes; }
  /// Floats before block `block` of image `n`.
  [[nodiscard]] std::int64_t offset(std::int64_t n, std::int64_t block) const {
    return (n * blocks() + block) * pixels() * lanes;
  }
};

/// `tensor` [N,C,H,W] itself when its channels lie in blocks of 8 or 16, else a copy in blocks
/// of 16 (counted in num_reorders).
[[nodiscard]] Tensor in_channel_blocks(const Tensor& tensor);
/// `tensor` itself when its channels lie in blocks of `lanes`, else a copy in such blocks.
[[nodiscard]] Tensor in_channel_blocks(const Tensor& tensor, std::int64_t lanes);
/// Uninitialised, in blocks of 8 or 16.
[[nodiscard]] Tensor empty_in_channel_blocks(const Shape& shape, std::int64_t lanes);
/// Of a tensor from in_channel_blocks, or of one with its layout.
[[nodiscard]] ChannelBlocks channel_blocks_of(const Tensor& tensor);

}  // namespace branchy::dnn
