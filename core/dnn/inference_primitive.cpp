#include "core/dnn/inference_primitive.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "core/dnn/inference_impl.h"

namespace branchy::dnn {

namespace {

dnnl::stream& inference_stream() {
  thread_local dnnl::stream stream(cpu_engine());  // a stream must not be shared by threads
  return stream;
}

void append_activation(dnnl::post_ops& ops, ActivationKind kind) {
  constexpr float kScale = 1.0F;
  switch (kind) {
    case ActivationKind::kRelu:
      ops.append_eltwise(kScale, dnnl::algorithm::eltwise_relu, 0.0F, 0.0F);
      return;
    case ActivationKind::kRelu6:
      ops.append_eltwise(kScale, dnnl::algorithm::eltwise_clip_v2, 0.0F, 6.0F);
      return;
    case ActivationKind::kSigmoid:
      ops.append_eltwise(kScale, dnnl::algorithm::eltwise_logistic, 0.0F, 0.0F);
      return;
  }
}

}  // namespace

dnnl::memory::desc desc_of(const ValueLayout& value) {
  return value.layout ? value.layout->desc() : plain_desc(value.shape);
}

ValueLayout value_of(const Shape& shape, const dnnl::memory::desc& desc) {
  return {shape, make_layout(desc, shape)};
}

bool same_layout(const ValueLayout& a, const ValueLayout& b) {
  if (a.step != b.step) return false;
  return a.layout == b.layout || (a.layout && b.layout && a.layout->desc() == b.layout->desc());
}

std::int64_t num_bytes(const ValueLayout& value) {
  return static_cast<std::int64_t>(desc_of(value).get_size());
}

ValueLayout preferred_layout(const Shape& shape) {
  if (shape.rank() != 4) return {shape, nullptr};
  const std::int64_t channels = shape[1];
  const Shape weights{channels, channels, 3, 3};
  try {
    const dnnl::convolution_forward::primitive_desc pd(
        dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference,
                                        dnnl::algorithm::convolution_direct, any_desc(shape),
                                        any_desc(weights), any_desc(shape), {1, 1}, {1, 1}, {1, 1}),
        user_scratchpad_attr(), cpu_engine());
    return value_of(shape, pd.dst_desc());
  } catch (const dnnl::error&) {
    return {shape, nullptr};  // a shape that no convolution takes: row-major is as good as any
  }
}

std::int64_t calling_thread_width() { return omp_get_max_threads(); }

ThreadWidth::ThreadWidth(std::int64_t threads) : before_(calling_thread_width()) {
  omp_set_num_threads(static_cast<int>(threads));
}

ThreadWidth::~ThreadWidth() { omp_set_num_threads(static_cast<int>(before_)); }

dnnl::primitive_attr inference_attr(const PostOps& post) {
  dnnl::primitive_attr attr = user_scratchpad_attr();
  dnnl::post_ops ops;
  if (post.sum) ops.append_sum(1.0F);
  if (post.activate) append_activation(ops, post.activation);
  attr.set_post_ops(ops);
  return attr;
}

PackedTensor::PackedTensor(Tensor plain)
    : plain_(std::move(plain)), forms_(std::make_unique<Forms>()) {
  static_cast<void>(plain_.data());  // row-major from here on
}

PackedTensor::~PackedTensor() = default;

const float* packed_values(InferencePrimitive::Impl& impl, PackedTensor& weights,
                           const dnnl::memory::desc& plain, const dnnl::memory::desc& packed) {
  const Reorder reorder(plain, packed);
  const float* values = weights.plain().data().data();
  if (!reorder.needed()) {
    impl.owners.push_back(std::make_shared<const Tensor>(weights.plain()));
    return values;
  }
  auto& made = weights.forms().made;
  auto form = std::find_if(made.begin(), made.end(),
                           [&](const auto& candidate) { return candidate.desc == packed; });
  if (form == made.end()) {
    auto buffer = std::make_shared<const Buffer>(packed.get_size());
    reorder(values, buffer->floats());
    form = made.insert(made.end(), {packed, std::move(buffer)});
  }
  impl.owners.push_back(form->buffer);
  return form->buffer->floats();
}

const float* own_form(InferencePrimitive::Impl& impl, PackedTensor& weights, OwnForm form,
                      const std::function<Buffer()>& make) {
  auto& made = weights.forms().own[form];
  if (!made) made = std::make_shared<const Buffer>(make());
  impl.owners.push_back(made);
  return made->floats();
}

const float* aligned_bias(InferencePrimitive::Impl& impl, const Tensor& bias, std::int64_t count) {
  auto buffer = std::make_shared<const Buffer>(static_cast<std::size_t>(count) * sizeof(float));
  std::fill_n(buffer->floats(), count, 0.0F);
  if (bias.defined()) std::copy(bias.data().begin(), bias.data().end(), buffer->floats());
  impl.owners.push_back(buffer);
  return buffer->floats();
}

kernels::Clip clip_of(const PostOps& post) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!post.activate) return {-kInfinity, kInfinity};
  return {0.0F, post.activation == ActivationKind::kRelu6 ? 6.0F : kInfinity};
}

void add_packed(InferencePrimitive::Impl& impl, int argument, PackedTensor& weights,
                const dnnl::memory::desc& plain, const dnnl::memory::desc& packed) {
  impl.constants.insert_or_assign(argument,
                                  memory_of(packed, packed_values(impl, weights, plain, packed)));
}

void add_plain(InferencePrimitive::Impl& impl, int argument, const Tensor& tensor) {
  impl.constants.insert_or_assign(argument,
                                  memory_of(plain_desc(tensor.shape()), tensor.data().data()));
  impl.owners.push_back(std::make_shared<const Tensor>(tensor));
}

const std::vector<ValueLayout>& InferencePrimitive::srcs() const { return impl_->srcs; }
const ValueLayout& InferencePrimitive::dst() const { return impl_->dst; }
bool InferencePrimitive::accumulates() const { return impl_->accumulates; }
std::string InferencePrimitive::implementation() const { return impl_->implementation; }

std::int64_t InferencePrimitive::scratchpad_bytes() const {
  if (impl_->kernel) return impl_->kernel_scratchpad_bytes;
  return static_cast<std::int64_t>(impl_->scratchpad.get_size());
}

struct InferenceCall::Bound {
  Arguments arguments;
  const float* src = nullptr;  // of own kernels
  float* dst = nullptr;
  float* scratchpad = nullptr;
};

InferenceCall::InferenceCall(const InferencePrimitive& primitive)
    : primitive_(primitive), bound_(std::make_unique<Bound>()) {}
InferenceCall::~InferenceCall() = default;
InferenceCall::InferenceCall(InferenceCall&&) noexcept = default;
InferenceCall& InferenceCall::operator=(InferenceCall&&) noexcept = default;

void InferenceCall::bind(std::span<const float* const> srcs, float* dst, void* scratchpad) {
  const InferencePrimitive::Impl& impl = primitive_.impl();
  if (impl.kernel) {
    BRANCHY_DCHECK(srcs.size() == 1);
    bound_->src = srcs[0];
    bound_->dst = dst;
    bound_->scratchpad = static_cast<float*>(scratchpad);
    return;
  }
  BRANCHY_DCHECK(srcs.size() == impl.src_arguments.size());
  Arguments& arguments = bound_->arguments;
  arguments = impl.constants;
  for (std::size_t i = 0; i < srcs.size(); ++i) {
    const auto& [id, desc] = impl.src_arguments[i];
    arguments.insert_or_assign(id, memory_of(desc, srcs[i]));
  }
  arguments.insert_or_assign(impl.dst_argument.id, memory_of(impl.dst_argument.desc, dst));
  arguments.insert_or_assign(DNNL_ARG_SCRATCHPAD,
                             memory_of(impl.scratchpad, static_cast<const float*>(scratchpad)));
}

void throw_unmakeable(const char* place, const Shape& src, const char* reason) {
  throw Error(fmt::format("[{}] oneDNN cannot make it for {}: {}", place, src.to_string(), reason));
}

void InferenceCall::run() {
  const InferencePrimitive::Impl& impl = primitive_.impl();
  if (impl.kernel) return impl.kernel(bound_->src, bound_->dst, bound_->scratchpad);
  impl.primitive.execute(inference_stream(), bound_->arguments);
  inference_stream().wait();
  if (impl.reorders) count_reorder();
}

}  // namespace branchy::dnn
