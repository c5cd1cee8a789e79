#include "core/dnn/eltwise.h"

#include "core/dnn/onednn.h"
#include "core/step_profile.h"

namespace branchy::dnn {

namespace {

using dnnl::algorithm;

/// Forward algorithm, its twin that differentiates from the output, and the two parameters.
struct Eltwise {
  algorithm forward, backward;
  float alpha, beta;
};

Eltwise eltwise_of(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kRelu:
      return {algorithm::eltwise_relu, algorithm::eltwise_relu_use_dst_for_bwd, 0.0F, 0.0F};
    case ActivationKind::kRelu6:
      return {algorithm::eltwise_clip_v2, algorithm::eltwise_clip_v2_use_dst_for_bwd, 0.0F, 6.0F};
    case ActivationKind::kSigmoid:
      break;
  }
  return {algorithm::eltwise_logistic, algorithm::eltwise_logistic_use_dst_for_bwd, 0.0F, 0.0F};
}

// oneDNN keeps recent primitives itself, so making one again costs a look-up.
dnnl::eltwise_forward::primitive_desc forward_desc(const dnnl::memory::desc& desc, algorithm kind,
                                                   const Eltwise& op) {
  return {{dnnl::prop_kind::forward_training, kind, desc, op.alpha, op.beta},
          user_scratchpad_attr(),
          cpu_engine()};
}

}  // namespace

Tensor activation_forward(const Tensor& src, ActivationKind kind) {
  const TimedWork work(StepWork::kElementwise, floats_moved(2 * src.size()));
  const Eltwise op = eltwise_of(kind);
  const auto pd = forward_desc(desc_of(src), op.forward, op);
  Tensor dst = empty_like(src);
  Arguments arguments{{DNNL_ARG_SRC, memory_of(src)}, {DNNL_ARG_DST, memory_of(dst)}};
  execute(dnnl::eltwise_forward(pd), arguments, pd.scratchpad_desc());
  return dst;
}

Tensor activation_backward(const Tensor& diff_dst, const Tensor& dst, ActivationKind kind) {
  const TimedWork work(StepWork::kElementwise, floats_moved(3 * dst.size()));
  const Eltwise op = eltwise_of(kind);
  const auto desc = desc_of(dst);
  const Tensor diff = in_desc(diff_dst, desc);
  const dnnl::eltwise_backward::primitive_desc pd({op.backward, desc, desc, op.alpha, op.beta},
                                                  user_scratchpad_attr(), cpu_engine(),
                                                  forward_desc(desc, op.backward, op));
  Tensor diff_src = empty_like(dst);
  Arguments arguments{{DNNL_ARG_DST, memory_of(dst)},
                      {DNNL_ARG_DIFF_DST, memory_of(diff)},
                      {DNNL_ARG_DIFF_SRC, memory_of(diff_src)}};
  execute(dnnl::eltwise_backward(pd), arguments, pd.scratchpad_desc());
  return diff_src;
}

}  // namespace branchy::dnn
