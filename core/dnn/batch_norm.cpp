#include "core/dnn/batch_norm.h"

#include "core/dnn/onednn.h"

namespace branchy::dnn {

struct BatchNorm::Impl {
  using Flags = dnnl::normalization_flags;

  Impl(const Tensor& like, BatchNormStatistics statistics, float epsilon, bool fuse_relu)
      : desc(desc_of(like)),
        shape(like.shape()),
        channels(plain_desc(Shape{like.dim(1)})),
        running(statistics == BatchNormStatistics::kRunning),
        relu(fuse_relu) {
    Flags flags = Flags::use_scale | Flags::use_shift;
    if (relu) flags |= Flags::fuse_norm_relu;
    if (running) flags |= Flags::use_global_stats;
    const auto attr = user_scratchpad_attr();
    const dnnl::batch_normalization_forward::primitive_desc fwd(
        {dnnl::prop_kind::forward_training, desc, epsilon, flags}, attr, cpu_engine());
    const dnnl::batch_normalization_backward::primitive_desc bwd(
        {dnnl::prop_kind::backward, desc, desc, epsilon, flags}, attr, cpu_engine(), fwd);
    forward = dnnl::batch_normalization_forward(fwd);
    backward = dnnl::batch_normalization_backward(bwd);
    workspace = fwd.workspace_desc();
    forward_scratchpad = fwd.scratchpad_desc();
    backward_scratchpad = bwd.scratchpad_desc();
  }

  dnnl::memory::desc desc;
  Shape shape;
  dnnl::memory::desc channels;
  bool running, relu;
  dnnl::primitive forward, backward;
  dnnl::memory::desc workspace, forward_scratchpad, backward_scratchpad;
};

BatchNorm::BatchNorm(const Tensor& like, BatchNormStatistics statistics, float epsilon,
                     bool fuse_relu)
    : impl_(std::make_unique<Impl>(like, statistics, epsilon, fuse_relu)) {}
BatchNorm::~BatchNorm() = default;
BatchNorm::BatchNorm(BatchNorm&&) noexcept = default;
BatchNorm& BatchNorm::operator=(BatchNorm&&) noexcept = default;

bool BatchNorm::fits(const Tensor& src) const {
  return src.shape() == impl_->shape && desc_of(src) == impl_->desc;
}

BatchNorm::Result BatchNorm::forward(const Tensor& src, const Tensor& scale, const Tensor& shift,
                                     const Tensor& mean, const Tensor& variance) {
  Impl& m = *impl_;
  const Shape channels{src.dim(1)};
  Result result;
  result.dst = empty_with_desc(m.shape, m.desc);
  result.mean = m.running ? mean : Tensor(channels);
  result.variance = m.running ? variance : Tensor(channels);
  Arguments arguments{{DNNL_ARG_SRC, memory_of(src)},
                      {DNNL_ARG_DST, memory_of(result.dst)},
                      {DNNL_ARG_SCALE, memory_of(m.channels, scale.data().data())},
                      {DNNL_ARG_SHIFT, memory_of(m.channels, shift.data().data())},
                      {DNNL_ARG_MEAN, memory_of(m.channels, result.mean.data().data())},
                      {DNNL_ARG_VARIANCE, memory_of(m.channels, result.variance.data().data())}};
  if (m.relu) {
    result.workspace = std::make_shared<Buffer>(m.workspace.get_size());
    arguments.emplace(DNNL_ARG_WORKSPACE, memory_of(m.workspace, result.workspace->floats()));
  }
  execute(m.forward, arguments, m.forward_scratchpad);
  return result;
}

BatchNorm::Gradients BatchNorm::backward(const Tensor& src, const Tensor& diff_dst,
                                         const Tensor& scale, const Tensor& shift,
                                         const Result& forward_result) {
  Impl& m = *impl_;
  const Shape channels{src.dim(1)};
  const Tensor diff = in_desc(diff_dst, m.desc);
  Gradients result{empty_with_desc(m.shape, m.desc), Tensor(channels), Tensor(channels)};
  Arguments arguments{
      {DNNL_ARG_SRC, memory_of(src)},
      {DNNL_ARG_DIFF_DST, memory_of(diff)},
      {DNNL_ARG_DIFF_SRC, memory_of(result.src)},
      {DNNL_ARG_SCALE, memory_of(m.channels, scale.data().data())},
      {DNNL_ARG_SHIFT, memory_of(m.channels, shift.data().data())},
      {DNNL_ARG_MEAN, memory_of(m.channels, forward_result.mean.data().data())},
      {DNNL_ARG_VARIANCE, memory_of(m.channels, forward_result.variance.data().data())},
      {DNNL_ARG_DIFF_SCALE, memory_of(result.scale)},
      {DNNL_ARG_DIFF_SHIFT, memory_of(result.shift)}};
  if (m.relu)
    arguments.emplace(DNNL_ARG_WORKSPACE,
                      memory_of(m.workspace, forward_result.workspace->floats()));
  execute(m.backward, arguments, m.backward_scratchpad);
  return result;
}

}  // namespace branchy::dnn
