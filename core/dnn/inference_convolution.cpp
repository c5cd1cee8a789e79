#include "core/dnn/inference_convolution.h"

#include <fmt/core.h>

#include "core/conv_geometry.h"
#include "core/dnn/inference_impl.h"

namespace branchy::dnn {

namespace {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
constexpr auto kFloat = dnnl::memory::data_type::f32;

// Logical dimensions in oneDNN are O before I in both forms; a transposed convolution's row-major
// [I, O/groups, K, K] is therefore the same memory with those two axes swapped.
Dims weights_dims(const Shape& w, const ConvolutionOp& op) {
  const std::int64_t g = op.groups;
  if (op.transposed) {
    if (g == 1) return {w[1], w[0], w[2], w[3]};
    return {g, w[1], w[0] / g, w[2], w[3]};
  }
  if (g == 1) return {w[0], w[1], w[2], w[3]};
  return {g, w[0] / g, w[1], w[2], w[3]};
}

Tag plain_weights_tag(const ConvolutionOp& op) {
  if (op.groups == 1) return op.transposed ? Tag::bacd : Tag::abcd;
  return op.transposed ? Tag::acbde : Tag::abcde;
}

template <class Primitive>
void fill(InferencePrimitive::Impl& impl, dnnl::algorithm algorithm, const Shape& src,
          const ConvolutionOp& op, PackedTensor& weights, const PostOps& post) {
  const Shape dst = convolution_output_shape(src, op);
  const Dims dims = weights_dims(weights.plain().shape(), op);
  const Desc any_weights(dims, kFloat, Tag::any);
  const Desc bias = op.bias.defined() ? plain_desc(op.bias.shape()) : Desc();
  const Dims strides{op.stride, op.stride};
  const Dims padding{op.padding, op.padding};
  const typename Primitive::primitive_desc pd(
      typename Primitive::desc(dnnl::prop_kind::forward_inference, algorithm, any_desc(src),
                               any_weights, bias, any_desc(dst), strides, padding, padding),
      inference_attr(post), cpu_engine());
  adopt<Primitive>(impl, pd);
  impl.srcs = {value_of(src, pd.src_desc())};
  impl.dst = value_of(dst, pd.dst_desc());
  impl.src_arguments = {{DNNL_ARG_SRC, pd.src_desc()}};
  impl.dst_argument = {DNNL_ARG_DST, pd.dst_desc()};
  impl.accumulates = post.sum;
  add_packed(impl, DNNL_ARG_WEIGHTS, weights, Desc(dims, kFloat, plain_weights_tag(op)),
             pd.weights_desc());
  if (op.bias.defined()) add_plain(impl, DNNL_ARG_BIAS, op.bias);
}

}  // namespace

Shape convolution_output_shape(const Shape& src, const ConvolutionOp& op) {
  const Shape& w = op.weights.shape();
  const bool ranks = src.rank() == 4 && w.rank() == 4;
  const std::int64_t expected = !ranks ? 0 : (op.transposed ? w[0] : w[1] * op.groups);
  if (!ranks || src[1] != expected)
    throw ShapeError(fmt::format("[plan convolution] src {} does not fit weights {} of {} groups",
                                 src.to_string(), w.to_string(), op.groups));
  const auto size = [&](std::int64_t in) {
    return op.transposed ? conv_transpose_output_size(in, w[2], op.stride, op.padding)
                         : conv_output_size(in, w[2], op.stride, op.padding);
  };
  const Shape dst{src[0], op.transposed ? w[1] * op.groups : w[0], size(src[2]), size(src[3])};
  if (dst[2] < 1 || dst[3] < 1)
    throw ShapeError(fmt::format("[plan convolution] src {} is smaller than the kernel {}",
                                 src.to_string(), w[2]));
  return dst;
}

InferencePrimitive make_inference_convolution(const Shape& src, const ConvolutionOp& op,
                                              PackedTensor& weights, const PostOps& post) {
  return make_primitive("plan convolution", src, [&](InferencePrimitive::Impl& impl) {
    if (op.transposed)
      fill<dnnl::deconvolution_forward>(impl, dnnl::algorithm::deconvolution_direct, src, op,
                                        weights, post);
    else
      fill<dnnl::convolution_forward>(impl, dnnl::algorithm::convolution_direct, src, op, weights,
                                      post);
  });
}

}  // namespace branchy::dnn
