#include "core/dnn/inference_winograd.h"

#include <optional>

#include "core/dnn/convolution_method.h"
#include "core/dnn/image_blocks.h"
#include "core/dnn/inference_convolution.h"
#include "core/dnn/inference_impl.h"
#include "core/kernels/inference_winograd.h"

namespace branchy::dnn {

namespace {

using kernels::InferenceWinograd;

// Transformed weights up to this many stay in the cache from request to request (4 MB).
constexpr std::int64_t kCachedWeights = 1 << 20;
// From so many tiles on, larger weights are read fast enough: measured on 2 cores with 512 channels
// and 4x4 pixels.
constexpr std::int64_t kManyTiles = 16;

/// Nothing for layouts without whole blocks of channels; those that lie by pixel must fill the
/// CPU's vectors.
std::optional<ImageBlocks> blocks_of(const ValueLayout& images) {
  const auto blocks = image_blocks(images);
  if (!blocks || images.shape[1] % blocks->lanes != 0) return std::nullopt;
  const bool by_pixel = blocks->strides.block == blocks->lanes;
  if (by_pixel && blocks->lanes != kernels::inference_lanes()) return std::nullopt;
  return blocks;
}

const float* transformed(InferencePrimitive::Impl& impl, PackedTensor& weights,
                         std::int64_t lanes) {
  const Shape& w = weights.plain().shape();
  return own_form(impl, weights, lanes == 16 ? OwnForm::kWinograd16 : OwnForm::kWinograd8, [&] {
    return kernels::winograd_weights(weights.plain().data().data(), w[0], w[1], lanes);
  });
}

}  // namespace

bool winograd_takes(const Shape& src, const ConvolutionOp& op, const PostOps& post) {
  const Shape& w = op.weights.shape();
  if (w[2] != 3 || op.stride != 1 || op.padding != 1 || op.groups != 1 || op.transposed)
    return false;
  if (post.activate && post.activation == ActivationKind::kSigmoid) return false;
  InferenceWinograd task;
  task.num = src[0];
  task.height = src[2];
  task.width = src[3];
  const auto from = blocks_of(preferred_layout(src));
  const auto to = blocks_of(preferred_layout(convolution_output_shape(src, op)));
  if (!from || !to || from->lanes != to->lanes) return false;
  if (const auto forced = forced_convolution_method())
    return *forced == ConvolutionMethod::kWinograd;
  // A tile costs 36 products instead of the 9 of each of its pixels, and its transforms.
  const std::int64_t tiles = task.num_tiles();
  if (src[0] * src[2] * src[3] * 9 < tiles * InferenceWinograd::kPoints * 2) return false;
  return InferenceWinograd::kPoints * w[0] * w[1] <= kCachedWeights || tiles >= kManyTiles;
}

InferencePrimitive make_inference_winograd(const Shape& src, const ConvolutionOp& op,
                                           PackedTensor& weights, const PostOps& post) {
  return make_primitive("plan convolution", src, [&](InferencePrimitive::Impl& impl) {
    const ValueLayout from = preferred_layout(src);
    const ValueLayout to = preferred_layout(convolution_output_shape(src, op));
    const auto images = blocks_of(from);
    BRANCHY_DCHECK(images.has_value());
    InferenceWinograd task;
    task.lanes = images->lanes;
    task.num = src[0];
    task.channels = src[1];
    task.out_channels = to.shape[1];
    task.height = src[2];
    task.width = src[3];
    task.src = images->strides;
    task.dst = blocks_of(to)->strides;
    task.weights = transformed(impl, weights, task.lanes);
    task.bias = aligned_bias(impl, op.bias, task.out_channels);
    task.sum = post.sum;
    task.clip = clip_of(post);
    const std::int64_t threads = calling_thread_width();
    impl.implementation = "own:winograd";
    impl.srcs = {from};
    impl.dst = to;
    impl.accumulates = post.sum;
    impl.kernel_scratchpad_bytes =
        threads * task.scratch() * static_cast<std::int64_t>(sizeof(float));
    impl.kernel = [task, threads](const float* x, float* y, float* scratch) {
      kernels::inference_winograd(task, threads, x, y, scratch);
    };
  });
}

}  // namespace branchy::dnn
