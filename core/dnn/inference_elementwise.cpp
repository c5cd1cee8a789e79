#include "core/dnn/inference_elementwise.h"

#include <fmt/core.h>

#include "core/dnn/inference_impl.h"

namespace branchy::dnn {

InferencePrimitive make_inference_batch_norm(const ValueLayout& src, const BatchNormOp& op,
                                             bool relu) {
  return make_primitive("plan batch norm", src.shape, [&](InferencePrimitive::Impl& impl) {
    using Flags = dnnl::normalization_flags;
    Flags flags = Flags::use_global_stats | Flags::use_scale | Flags::use_shift;
    if (relu) flags |= Flags::fuse_norm_relu;
    // oneDNN takes [N,C] only as an image of one pixel, which is the same memory.
    const auto desc =
        src.shape.rank() == 2 ? plain_desc(Shape{src.shape[0], src.shape[1], 1, 1}) : desc_of(src);
    const dnnl::batch_normalization_forward::primitive_desc pd(
        dnnl::batch_normalization_forward::desc(dnnl::prop_kind::forward_inference, desc,
                                                op.epsilon, flags),
        user_scratchpad_attr(), cpu_engine());
    adopt<dnnl::batch_normalization_forward>(impl, pd);
    impl.srcs = {src};
    impl.dst = src;
    impl.src_arguments = {{DNNL_ARG_SRC, desc}};
    impl.dst_argument = {DNNL_ARG_DST, desc};
    add_plain(impl, DNNL_ARG_MEAN, op.mean);
    add_plain(impl, DNNL_ARG_VARIANCE, op.variance);
    add_plain(impl, DNNL_ARG_SCALE, op.scale);
    add_plain(impl, DNNL_ARG_SHIFT, op.shift);
  });
}

InferencePrimitive make_inference_activation(const ValueLayout& src, ActivationKind kind) {
  return make_primitive("plan activation", src.shape, [&](InferencePrimitive::Impl& impl) {
    const auto algorithm = kind == ActivationKind::kRelu    ? dnnl::algorithm::eltwise_relu
                           : kind == ActivationKind::kRelu6 ? dnnl::algorithm::eltwise_clip_v2
                                                            : dnnl::algorithm::eltwise_logistic;
    const float upper = kind == ActivationKind::kRelu6 ? 6.0F : 0.0F;
    const dnnl::eltwise_forward::primitive_desc pd(
        dnnl::eltwise_forward::desc(dnnl::prop_kind::forward_inference, algorithm, desc_of(src),
                                    0.0F, upper),
        user_scratchpad_attr(), cpu_engine());
    adopt<dnnl::eltwise_forward>(impl, pd);
    impl.srcs = {src};
    impl.dst = src;
    impl.src_arguments = {{DNNL_ARG_SRC, desc_of(src)}};
    impl.dst_argument = {DNNL_ARG_DST, desc_of(src)};
  });
}

InferencePrimitive make_inference_add(const ValueLayout& a, const Shape& b, const PostOps& post) {
  if (a.shape != b)
    throw ShapeError(fmt::format("[plan add] {} and {} differ; a sum needs equal shapes",
                                 a.shape.to_string(), b.to_string()));
  return make_primitive("plan add", a.shape, [&](InferencePrimitive::Impl& impl) {
    const auto desc = desc_of(a);
    const dnnl::binary::primitive_desc pd(
        dnnl::binary::desc(dnnl::algorithm::binary_add, desc, desc, desc), inference_attr(post),
        cpu_engine());
    adopt<dnnl::binary>(impl, pd);
    impl.srcs = {a, a};
    impl.dst = a;
    impl.src_arguments = {{DNNL_ARG_SRC_0, desc}, {DNNL_ARG_SRC_1, desc}};
    impl.dst_argument = {DNNL_ARG_DST, desc};
  });
}

InferencePrimitive make_inference_scale_channels(const ValueLayout& src, const Shape& scale) {
  const bool fits = src.shape.rank() == 4 && scale.rank() >= 2 && scale[0] == src.shape[0] &&
                    scale[1] == src.shape[1] && scale.size() == scale[0] * scale[1];
  if (!fits)
    throw ShapeError(fmt::format("[plan scaling] scale {} does not fit src {}; one per channel",
                                 scale.to_string(), src.shape.to_string()));
  return make_primitive("plan scaling", src.shape, [&](InferencePrimitive::Impl& impl) {
    const auto desc = desc_of(src);
    const auto factor = plain_desc(Shape{scale[0], scale[1], 1, 1});
    const dnnl::binary::primitive_desc pd(
        dnnl::binary::desc(dnnl::algorithm::binary_mul, desc, factor, desc), user_scratchpad_attr(),
        cpu_engine());
    adopt<dnnl::binary>(impl, pd);
    impl.srcs = {src, {scale, nullptr}};
    impl.dst = src;
    impl.src_arguments = {{DNNL_ARG_SRC_0, desc}, {DNNL_ARG_SRC_1, factor}};
    impl.dst_argument = {DNNL_ARG_DST, desc};
  });
}

}  // namespace branchy::dnn
