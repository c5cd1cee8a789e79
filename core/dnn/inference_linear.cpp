#include "core/dnn/inference_linear.h"

#include "core/dnn/inference_impl.h"

namespace branchy::dnn {

InferencePrimitive make_inference_linear(const ValueLayout& src, PackedTensor& weights,
                                         const Tensor& bias, const PostOps& post) {
  const Shape& w = weights.plain().shape();
  const std::int64_t batch = src.shape[0];
  if (src.shape.size() != batch * w[1])
    throw ShapeError(fmt::format("[plan linear] src {} has {} features, weights {} expect {}",
                                 src.shape.to_string(), src.shape.size() / batch, w.to_string(),
                                 w[1]));
  return make_primitive("plan linear", src.shape, [&](InferencePrimitive::Impl& impl) {
    const Shape dst{batch, w[0]};
    const Shape seen = src.shape.with_batch(w[0]);  // W as the source's features: [O,C,H,W]
    const auto bias_desc = bias.defined() ? plain_desc(bias.shape()) : dnnl::memory::desc();
    const dnnl::inner_product_forward::primitive_desc pd(
        dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_inference, desc_of(src),
                                          any_desc(seen), bias_desc, plain_desc(dst)),
        inference_attr(post), cpu_engine());
    adopt<dnnl::inner_product_forward>(impl, pd);
    impl.srcs = {src};
    impl.dst = {dst, nullptr};
    impl.src_arguments = {{DNNL_ARG_SRC, desc_of(src)}};
    impl.dst_argument = {DNNL_ARG_DST, plain_desc(dst)};
    impl.accumulates = post.sum;
    add_packed(impl, DNNL_ARG_WEIGHTS, weights, plain_desc(seen), pd.weights_desc());
    if (bias.defined()) add_plain(impl, DNNL_ARG_BIAS, bias);
  });
}

}  // namespace branchy::dnn
