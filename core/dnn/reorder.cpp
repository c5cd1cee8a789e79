#include "core/dnn/reorder.h"

#include <atomic>
#include <utility>

#include "core/dnn/onednn.h"
#include "core/step_profile.h"

namespace branchy::dnn {

namespace {

std::atomic<std::int64_t>& reorder_counter() {
  static std::atomic<std::int64_t> counter{0};  // a debug counter, read by tests
  return counter;
}

dnnl::stream& thread_stream() {
  thread_local dnnl::stream stream(cpu_engine());  // a stream must not be shared by threads
  return stream;
}

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::dims to_dims(const Shape& shape) {
  const auto dims = shape.dims();
  return {dims.begin(), dims.end()};
}

dnnl::memory::desc plain_desc(const Shape& shape) {
  using Tag = dnnl::memory::format_tag;
  constexpr Tag kTags[] = {Tag::undef, Tag::a, Tag::ab, Tag::abc, Tag::abcd, Tag::abcde};
  return {to_dims(shape), dnnl::memory::data_type::f32, kTags[shape.rank()]};
}

dnnl::memory::desc any_desc(const Shape& shape) {
  return {to_dims(shape), dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
}

dnnl::memory::desc desc_of(const Tensor& tensor) {
  const LayoutPtr& layout = TensorAccess::layout(tensor);
  return layout ? layout->desc() : plain_desc(tensor.shape());
}

LayoutPtr make_layout(const dnnl::memory::desc& desc, const Shape& shape) {
  if (desc == plain_desc(shape)) return nullptr;
  return std::make_shared<const Layout>(desc);
}

Tensor empty_with_desc(const Shape& shape, const dnnl::memory::desc& desc) {
  return TensorAccess::make(shape, make_layout(desc, shape));
}

Tensor in_desc(const Tensor& tensor, const dnnl::memory::desc& desc) {
  const dnnl::memory::desc from = desc_of(tensor);
  if (from == desc) return tensor;
  const TimedWork work(StepWork::kReorder, floats_moved(2 * tensor.size()));
  Tensor result = empty_with_desc(tensor.shape(), desc);
  Reorder(from, desc)(TensorAccess::physical(tensor), TensorAccess::mutable_physical(result));
  ++reorder_counter();
  return result;
}

dnnl::memory memory_of(const dnnl::memory::desc& desc, const float* data) {
  // oneDNN has one type for inputs and outputs; inputs are not written.
  return {desc, cpu_engine(),
          const_cast<float*>(data)};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

dnnl::memory memory_of(const Tensor& tensor) {
  return memory_of(desc_of(tensor), TensorAccess::physical(tensor));
}

dnnl::primitive_attr user_scratchpad_attr() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

void execute(const dnnl::primitive& primitive, Arguments& arguments,
             const dnnl::memory::desc& scratchpad_desc) {
  const Buffer scratchpad(scratchpad_desc.get_size());
  arguments.insert_or_assign(DNNL_ARG_SCRATCHPAD, memory_of(scratchpad_desc, scratchpad.floats()));
  primitive.execute(thread_stream(), arguments);
  thread_stream().wait();
}

Reorder::Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to)
    : from_(from), to_(to) {
  if (!needed()) return;
  const dnnl::reorder::primitive_desc pd(cpu_engine(), from, cpu_engine(), to,
                                         user_scratchpad_attr());
  scratchpad_ = pd.scratchpad_desc();
  primitive_ = dnnl::reorder(pd);
}

void Reorder::operator()(const float* from, float* to) const {
  Arguments arguments{{DNNL_ARG_FROM, memory_of(from_, from)}, {DNNL_ARG_TO, memory_of(to_, to)}};
  execute(primitive_, arguments, scratchpad_);
}

PackedWeights::PackedWeights(const dnnl::memory::desc& plain, const dnnl::memory::desc& packed)
    : packed_(packed), reorder_(plain, packed) {}

const float* PackedWeights::get(const Tensor& weights) {
  const float* plain = weights.data().data();
  if (!reorder_.needed()) return plain;
  if (version_ != weights.version()) {
    const TimedWork work(StepWork::kWeightReorder, floats_moved(2 * weights.size()));
    if (buffer_.data() == nullptr) buffer_ = Buffer(packed_.get_size());
    reorder_(plain, buffer_.floats());
    version_ = weights.version();
  }
  return buffer_.floats();
}

void PackedWeights::release() {
  buffer_ = Buffer();
  version_ = 0;
}

std::int64_t layout_num_floats(const Layout& layout) {
  return static_cast<std::int64_t>(layout.desc().get_size() / sizeof(float));
}

void reorder_to_plain(const Layout& layout, const Shape& shape, const float* from, float* to) {
  const TimedWork work(StepWork::kReorder, floats_moved(2 * shape.size()));
  Reorder(layout.desc(), plain_desc(shape))(from, to);
  ++reorder_counter();
}

Tensor empty_like(const Tensor& tensor) {
  return TensorAccess::make(tensor.shape(), TensorAccess::layout(tensor));
}

bool same_layout(const Tensor& a, const Tensor& b) {
  const LayoutPtr& la = TensorAccess::layout(a);
  const LayoutPtr& lb = TensorAccess::layout(b);
  if (la == lb) return true;
  return la && lb && la->desc() == lb->desc();
}

Tensor in_layout_of(const Tensor& tensor, const Tensor& like) {
  return same_layout(tensor, like) ? tensor : in_desc(tensor, desc_of(like));
}

void count_reorder() { ++reorder_counter(); }

std::int64_t num_reorders() { return reorder_counter(); }

}  // namespace branchy::dnn
