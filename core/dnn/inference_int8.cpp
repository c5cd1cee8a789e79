#include "core/dnn/inference_int8.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/dnn/inference_convolution.h"
#include "core/dnn/inference_impl.h"
#include "core/dnn/inference_linear.h"

namespace branchy::dnn {

namespace {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

/// Integers and what one of them stands for.
struct Steps {
  Type type = Type::u8;
  float size = 1;
};

Steps steps_of(const ValueRange& range) {
  const Type type = range.low < 0.0F ? Type::s8 : Type::u8;
  const float most = std::max(-range.low, range.high);
  if (!(most > 0.0F)) return {type, 1.0F};  // nothing but zeros was seen
  return {type, most / (type == Type::s8 ? 127.0F : 255.0F)};
}

/// Of each output channel's weights.
std::vector<float> weight_steps(const Tensor& weights) {
  const std::int64_t out = weights.dim(0);
  const auto size = static_cast<std::size_t>(weights.size() / out);
  std::vector<float> steps;
  for (std::size_t o = 0; o < static_cast<std::size_t>(out); ++o) {
    float most = 0.0F;
    for (const float w : weights.data().subspan(o * size, size)) most = std::max(most, std::abs(w));
    steps.push_back(most > 0.0F ? most / 127.0F : 1.0F);
  }
  return steps;
}

/// The weights as integers in the layout that the primitive wants; made once for each layout.
void add_int8_weights(InferencePrimitive::Impl& impl, PackedTensor& weights, const Dims& dims,
                      const std::vector<float>& steps, const Desc& packed) {
  auto& made = weights.forms().made;
  auto form = std::find_if(made.begin(), made.end(),
                           [&](const auto& candidate) { return candidate.desc == packed; });
  if (form == made.end()) {
    const auto values = weights.plain().data();
    const std::size_t size = values.size() / steps.size();
    Buffer rounded(values.size() * sizeof(float));  // oneDNN packs float32 with fewest surprises
    for (std::size_t i = 0; i < values.size(); ++i)
      rounded.floats()[i] = std::nearbyint(values[i] / steps[i / size]);
    auto buffer = std::make_shared<const Buffer>(packed.get_size());
    const Reorder reorder(Desc(dims, Type::f32, Tag::abcd), packed);
    reorder(rounded.floats(), buffer->floats());
    form = made.insert(made.end(), {packed, std::move(buffer)});
  }
  impl.owners.push_back(form->buffer);
  impl.constants.insert_or_assign(DNNL_ARG_WEIGHTS, memory_of(packed, form->buffer->floats()));
}

/// The parts of a convolution that oneDNN computes in 8 bits.
struct Int8Convolution {
  Dims weights;
  Desc src, dst;  ///< layouts may be `any`
  std::int64_t stride = 1, padding = 0;
  Steps steps, dst_steps;  ///< the latter of size 1 for float32
};

dnnl::convolution_forward::primitive_desc fill(InferencePrimitive::Impl& impl,
                                               const Int8Convolution& task, PackedTensor& weights,
                                               const Tensor& bias, const PostOps& post) {
  const std::vector<float> by_channel = weight_steps(weights.plain());
  std::vector<float> scales;
  Tensor scaled_bias = Tensor::zeros(Shape{std::ssize(by_channel)});
  for (std::size_t o = 0; o < by_channel.size(); ++o) {
    const float product = task.steps.size * by_channel[o];
    scales.push_back(product / task.dst_steps.size);
    if (bias.defined()) scaled_bias.mutable_data()[o] = bias.data()[o] / product;
  }
  dnnl::primitive_attr attr = inference_attr(post);
  attr.set_output_scales(1 << 1, scales);
  dnnl::convolution_forward::primitive_desc pd(
      dnnl::convolution_forward::desc(
          dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, task.src,
          Desc(task.weights, Type::s8, Tag::any), plain_desc(scaled_bias.shape()), task.dst,
          {task.stride, task.stride}, {task.padding, task.padding}, {task.padding, task.padding}),
      attr, cpu_engine());
  adopt<dnnl::convolution_forward>(impl, pd);
  impl.implementation += task.steps.type == Type::s8 ? " s8" : " u8";
  impl.src_arguments = {{DNNL_ARG_SRC, pd.src_desc()}};
  impl.dst_argument = {DNNL_ARG_DST, pd.dst_desc()};
  impl.accumulates = post.sum;
  add_int8_weights(impl, weights, task.weights, by_channel, pd.weights_desc());
  add_plain(impl, DNNL_ARG_BIAS, scaled_bias);
  return pd;
}

}  // namespace

bool int8_is_exact() {
  const auto has = [isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa())](dnnl::cpu_isa of) {
    return (isa & static_cast<unsigned>(of)) == static_cast<unsigned>(of);
  };
  return has(dnnl::cpu_isa::avx512_core_vnni) || has(dnnl::cpu_isa::avx2_vnni);
}

bool int8_takes(const ConvolutionOp& op) {
  return !op.transposed && op.groups == 1 && op.weights.dim(1) >= 16;
}

bool int8_takes(const LinearOp& op) { return op.weights.size() > kCachedLinearWeights; }

InferencePrimitive make_inference_int8_convolution(const Shape& src, const ConvolutionOp& op,
                                                   PackedTensor& weights, const PostOps& post,
                                                   const Int8Op& int8) {
  return make_primitive("plan int8 convolution", src, [&](InferencePrimitive::Impl& impl) {
    const Shape dst = convolution_output_shape(src, op);
    Int8Convolution task;
    task.weights = to_dims(weights.plain().shape());
    task.steps = steps_of(int8.src);
    task.src = Desc(to_dims(src), task.steps.type, Tag::any);
    task.dst = any_desc(dst);
    task.stride = op.stride;
    task.padding = op.padding;
    if (int8.dst) {
      BRANCHY_DCHECK(!post.sum);
      task.dst_steps = steps_of(*int8.dst);
      task.dst = Desc(to_dims(dst), task.dst_steps.type, Tag::any);
    }
    const auto pd = fill(impl, task, weights, op.bias, int8.dst ? PostOps{} : post);
    impl.srcs = {value_of(src, pd.src_desc())};
    impl.srcs[0].step = task.steps.size;
    impl.dst = value_of(dst, pd.dst_desc());
    if (int8.dst) impl.dst.step = task.dst_steps.size;
  });
}

// Rows of a matrix are pixels of one image whose channels lie together.
InferencePrimitive make_inference_int8_linear(const Shape& src, PackedTensor& weights,
                                              const Tensor& bias, const PostOps& post,
                                              const ValueRange& range) {
  return make_primitive("plan int8 linear", src, [&](InferencePrimitive::Impl& impl) {
    const Shape& w = weights.plain().shape();
    const Shape dst{src[0], w[0]};
    Int8Convolution task;
    task.weights = {w[0], w[1], 1, 1};
    task.steps = steps_of(range);
    task.src = Desc({1, w[1], 1, src[0]}, task.steps.type, Tag::nhwc);
    task.dst = Desc({1, w[0], 1, src[0]}, Type::f32, Tag::nhwc);
    fill(impl, task, weights, bias, post);
    impl.srcs = {value_of(src, Desc(to_dims(src), task.steps.type, Tag::ab))};
    impl.srcs[0].step = task.steps.size;
    impl.dst = {dst, nullptr};
  });
}

}  // namespace branchy::dnn
