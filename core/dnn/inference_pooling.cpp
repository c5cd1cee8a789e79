#include "core/dnn/inference_pooling.h"

#include "core/dnn/inference_impl.h"
#include "core/dnn/pooling.h"

namespace branchy::dnn {

InferencePrimitive make_inference_pooling(const ValueLayout& src, const PoolOp& op) {
  const Shape dst = pooled_shape(src.shape, op);
  return make_primitive("plan pooling", src.shape, [&](InferencePrimitive::Impl& impl) {
    using Dims = dnnl::memory::dims;
    const bool global = op.kernel == 0;
    const Dims kernel = global ? Dims{src.shape[2], src.shape[3]} : Dims{op.kernel, op.kernel};
    const Dims stride = global ? Dims{1, 1} : Dims{op.stride, op.stride};
    const Dims padding = global ? Dims{0, 0} : Dims{op.padding, op.padding};
    const auto algorithm = op.kind == PoolKind::kMax ? dnnl::algorithm::pooling_max
                                                     : dnnl::algorithm::pooling_avg_include_padding;
    const dnnl::pooling_v2_forward::primitive_desc pd(
        dnnl::pooling_v2_forward::desc(dnnl::prop_kind::forward_inference, algorithm, desc_of(src),
                                       any_desc(dst), stride, kernel, Dims{0, 0}, padding, padding),
        user_scratchpad_attr(), cpu_engine());
    adopt<dnnl::pooling_v2_forward>(impl, pd);
    impl.srcs = {src};
    impl.dst = value_of(dst, pd.dst_desc());
    impl.src_arguments = {{DNNL_ARG_SRC, desc_of(src)}};
    impl.dst_argument = {DNNL_ARG_DST, pd.dst_desc()};
  });
}

}  // namespace branchy::dnn
