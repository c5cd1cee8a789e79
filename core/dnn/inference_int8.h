// Inference convolutions and linear layers in 8-bit integers: weights quantised by output channel,
// sources by value.
#pragma once

#include <optional>

#include "core/dnn/inference_primitive.h"

namespace branchy::dnn {

/// What the values of a source lie between, as calibration saw them: low <= 0 <= high. Their
/// integers are unsigned, in steps of high / 255, when low is 0, else signed and symmetric, in
/// steps of max(-low, high) / 127. What lies beyond is cut off.
struct ValueRange {
  float low = 0, high = 0;
};

/// How an operation is computed in 8 bits.
struct Int8Op {
  ValueRange src;
  std::optional<ValueRange> dst;  ///< of a result that is wanted in 8 bits; nothing: float32
};

/// Whether this CPU multiplies and sums bytes exactly, by VNNI (AVX-512 or AVX). Without it oneDNN
/// sums pairs of products in 16 bits, which overflow.
[[nodiscard]] bool int8_is_exact();
/// Whether 8 bits are worth it: convolutions over 16 or more channels in one group. Others have too
/// few products for each value that must be quantised; depth-wise ones were as fast or faster in
/// float32, with VNNI.
[[nodiscard]] bool int8_takes(const ConvolutionOp& op);
/// Linear layers of more than `kCachedLinearWeights`, which come from memory each time; logits are
/// left in float32.
[[nodiscard]] bool int8_takes(const LinearOp& op);

/// As make_inference_convolution, but source and weights are integers: the weights in 127 steps up
/// to each output channel's largest. With q the integers of source and weights and s their steps,
/// dst = act((float(sum q_x q_w) + b / (s_x s_w)) (s_x s_w) + addend), each operation rounded once,
/// so a sample's bits depend neither on the batch nor on the number of threads. With `int8.dst`,
/// s_dst divides the factor and the ends of 8 bits cut off instead of an activation: then no
/// `post.sum`, no sigmoid, behind ReLU a range from 0, behind ReLU6 one up to 6 at most.
[[nodiscard]] InferencePrimitive make_inference_int8_convolution(const Shape& src,
                                                                 const ConvolutionOp& op,
                                                                 PackedTensor& weights,
                                                                 const PostOps& post,
                                                                 const Int8Op& int8);
/// The same for a linear layer: src [N,I], `weights` [O,I], `bias` [O] or undefined; dst float32
/// [N,O] row-major.
[[nodiscard]] InferencePrimitive make_inference_int8_linear(const Shape& src, PackedTensor& weights,
                                                            const Tensor& bias, const PostOps& post,
                                                            const ValueRange& range);

}  // namespace branchy::dnn
