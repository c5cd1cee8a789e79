#include "core/dnn/pooling.h"

#include <fmt/core.h>

#include "core/conv_geometry.h"
#include "core/dnn/onednn.h"
#include "core/error.h"
#include "core/step_profile.h"

namespace branchy::dnn {

Shape pooled_shape(const Shape& src, const PoolOp& op) {
  if (src.rank() != 4)
    throw ShapeError(fmt::format("[pool] src is {}, expected [N,C,H,W]", src.to_string()));
  if (op.kernel == 0) return {src[0], src[1], 1, 1};
  const Shape dst{src[0], src[1], conv_output_size(src[2], op.kernel, op.stride, op.padding),
                  conv_output_size(src[3], op.kernel, op.stride, op.padding)};
  if (dst[2] < 1 || dst[3] < 1)
    throw ShapeError(
        fmt::format("[pool] a {0}x{0} window does not fit into {1}", op.kernel, src.to_string()));
  return dst;
}

struct Pooling::Impl {
  Impl(const Tensor& like, const PoolOp& op)
      : src_desc(desc_of(like)),
        src(like.shape()),
        dst(pooled_shape(like.shape(), op)),
        max(op.kind == PoolKind::kMax) {
    const bool global = op.kernel == 0;
    const dnnl::memory::dims kernel =
        global ? dnnl::memory::dims{src[2], src[3]} : dnnl::memory::dims{op.kernel, op.kernel};
    const dnnl::memory::dims strides = global ? kernel : dnnl::memory::dims{op.stride, op.stride};
    const dnnl::memory::dims padding = {op.padding, op.padding};
    const dnnl::memory::dims dilation = {0, 0};
    const auto algorithm =
        max ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_include_padding;
    const auto attr = user_scratchpad_attr();
    const dnnl::pooling_v2_forward::primitive_desc fwd(
        {dnnl::prop_kind::forward_training, algorithm, src_desc, any_desc(dst), strides, kernel,
         dilation, padding, padding},
        attr, cpu_engine());
    dst_desc = fwd.dst_desc();
    const dnnl::pooling_v2_backward::primitive_desc bwd(
        {algorithm, src_desc, dst_desc, strides, kernel, dilation, padding, padding}, attr,
        cpu_engine(), fwd);
    forward = dnnl::pooling_v2_forward(fwd);
    backward = dnnl::pooling_v2_backward(bwd);
    workspace = fwd.workspace_desc();
    forward_scratchpad = fwd.scratchpad_desc();
    backward_scratchpad = bwd.scratchpad_desc();
  }

  dnnl::memory::desc src_desc, dst_desc;
  Shape src, dst;
  bool max;
  dnnl::primitive forward, backward;
  dnnl::memory::desc workspace, forward_scratchpad, backward_scratchpad;
};

Pooling::Pooling(const Tensor& like, const PoolOp& op) : impl_(std::make_unique<Impl>(like, op)) {}
Pooling::~Pooling() = default;
Pooling::Pooling(Pooling&&) noexcept = default;
Pooling& Pooling::operator=(Pooling&&) noexcept = default;

bool Pooling::fits(const Tensor& src) const {
  return src.shape() == impl_->src && desc_of(src) == impl_->src_desc;
}

Pooling::Result Pooling::forward(const Tensor& src) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kPooling, floats_moved(m.src.size() + m.dst.size()));
  Result result{empty_with_desc(m.dst, m.dst_desc), nullptr};
  Arguments arguments{{DNNL_ARG_SRC, memory_of(src)}, {DNNL_ARG_DST, memory_of(result.dst)}};
  if (m.max) {
    result.workspace = std::make_shared<Buffer>(m.workspace.get_size());
    arguments.emplace(DNNL_ARG_WORKSPACE, memory_of(m.workspace, result.workspace->floats()));
  }
  execute(m.forward, arguments, m.forward_scratchpad);
  return result;
}

Tensor Pooling::backward(const Tensor& diff_dst, const Buffer* workspace) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kPooling, floats_moved(m.src.size() + m.dst.size()));
  const Tensor diff = in_desc(diff_dst, m.dst_desc);
  Tensor diff_src = empty_with_desc(m.src, m.src_desc);
  Arguments arguments{{DNNL_ARG_DIFF_DST, memory_of(diff)},
                      {DNNL_ARG_DIFF_SRC, memory_of(diff_src)}};
  if (m.max) arguments.emplace(DNNL_ARG_WORKSPACE, memory_of(m.workspace, workspace->floats()));
  execute(m.backward, arguments, m.backward_scratchpad);
  return diff_src;
}

}  // namespace branchy::dnn
