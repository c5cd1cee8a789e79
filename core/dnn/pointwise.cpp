#include "core/dnn/pointwise.h"

#include <algorithm>
#include <optional>

#include "core/dnn/onednn.h"
#include "core/kernels/parallel.h"
#include "core/step_profile.h"

namespace branchy::dnn {

namespace {

using dnnl::algorithm;
using dnnl::memory;

memory::desc blocked(std::int64_t images, std::int64_t channels, const PointwiseSpec& spec) {
  const auto tag = spec.lanes == 16 ? memory::format_tag::nChw16c : memory::format_tag::nChw8c;
  return {{images, channels, spec.height, spec.width}, memory::data_type::f32, tag};
}

BRANCHY_SIMD_CLONES void add_range(float* sum, const float* value, std::int64_t begin,
                                   std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) sum[i] += value[i];
}

}  // namespace

std::int64_t blocked_lanes() {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto avx512 = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
  return (isa & avx512) == avx512 ? 16 : 8;
}

struct Pointwise::Impl {
  struct Step {
    dnnl::primitive primitive;
    memory::desc scratchpad;
  };

  explicit Impl(const PointwiseSpec& s)
      : spec(s),
        src(blocked(s.images, s.in, s)),
        dst(blocked(s.images, s.out, s)),
        plain({s.out, s.in, 1, 1}, memory::data_type::f32, memory::format_tag::abcd) {
    const memory::desc any({s.out, s.in, 1, 1}, memory::data_type::f32, memory::format_tag::any);
    const memory::dims strides{1, 1};
    const memory::dims padding{0, 0};
    const auto attr = user_scratchpad_attr();
    const dnnl::convolution_forward::primitive_desc fwd(
        {dnnl::prop_kind::forward_training, algorithm::convolution_direct, src, any, dst, strides,
         padding, padding},
        attr, cpu_engine());
    const dnnl::convolution_backward_data::primitive_desc bwd_data(
        {algorithm::convolution_direct, src, any, dst, strides, padding, padding}, attr,
        cpu_engine(), fwd);
    const dnnl::convolution_backward_weights::primitive_desc bwd_weights(
        {algorithm::convolution_direct, src, any, dst, strides, padding, padding}, attr,
        cpu_engine(), fwd);
    forward = {dnnl::convolution_forward(fwd), fwd.scratchpad_desc()};
    data = {dnnl::convolution_backward_data(bwd_data), bwd_data.scratchpad_desc()};
    gradient = {dnnl::convolution_backward_weights(bwd_weights), bwd_weights.scratchpad_desc()};
    packed_forward.emplace(plain, fwd.weights_desc());
    packed_data.emplace(plain, bwd_data.weights_desc());
    diff_weights = bwd_weights.diff_weights_desc();
    unpack.emplace(diff_weights, plain);
    const double pixels = static_cast<double>(s.images * s.height * s.width);
    const auto weights = static_cast<double>(s.in * s.out);
    amount = {.flops = 2.0 * pixels * weights,
              .bytes = 4.0 * (pixels * static_cast<double>(s.in + s.out) + weights)};
  }

  PointwiseSpec spec;
  memory::desc src, dst, plain, diff_weights;
  Step forward, data, gradient;
  std::optional<PackedWeights> packed_forward, packed_data;
  std::optional<Reorder> unpack;
  Buffer sum;
  bool sum_is_empty = true;
  WorkAmount amount;  ///< of each of the three
};

Pointwise::Pointwise(const PointwiseSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Pointwise::~Pointwise() = default;
Pointwise::Pointwise(Pointwise&&) noexcept = default;
Pointwise& Pointwise::operator=(Pointwise&&) noexcept = default;

const PointwiseSpec& Pointwise::spec() const { return impl_->spec; }

void Pointwise::forward(const float* src, const Tensor& weights, float* dst) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionForward, m.amount);
  const float* packed = m.packed_forward->get(weights);
  Arguments arguments{{DNNL_ARG_SRC, memory_of(m.src, src)},
                      {DNNL_ARG_WEIGHTS, memory_of(m.packed_forward->desc(), packed)},
                      {DNNL_ARG_DST, memory_of(m.dst, dst)}};
  execute(m.forward.primitive, arguments, m.forward.scratchpad);
}

void Pointwise::backward_data(const float* diff_dst, const Tensor& weights, float* diff_src) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionData, m.amount);
  const float* packed = m.packed_data->get(weights);
  Arguments arguments{{DNNL_ARG_DIFF_DST, memory_of(m.dst, diff_dst)},
                      {DNNL_ARG_WEIGHTS, memory_of(m.packed_data->desc(), packed)},
                      {DNNL_ARG_DIFF_SRC, memory_of(m.src, diff_src)}};
  execute(m.data.primitive, arguments, m.data.scratchpad);
}

void Pointwise::clear_weight_gradient() {
  Impl& m = *impl_;
  if (m.sum.data() == nullptr) m.sum = Buffer(m.diff_weights.get_size());
  m.sum_is_empty = true;
}

void Pointwise::add_weight_gradient(const float* src, const float* diff_dst) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionWeights, m.amount);
  const std::size_t bytes = m.diff_weights.get_size();
  const Buffer term(m.sum_is_empty ? 0 : bytes);
  float* to = m.sum_is_empty ? m.sum.floats() : term.floats();
  Arguments arguments{{DNNL_ARG_SRC, memory_of(m.src, src)},
                      {DNNL_ARG_DIFF_DST, memory_of(m.dst, diff_dst)},
                      {DNNL_ARG_DIFF_WEIGHTS, memory_of(m.diff_weights, to)}};
  execute(m.gradient.primitive, arguments, m.gradient.scratchpad);
  if (!m.sum_is_empty)
    kernels::parallel_ranges(static_cast<std::int64_t>(bytes / sizeof(float)),
                             [&](std::int64_t begin, std::int64_t end) {
                               add_range(m.sum.floats(), term.floats(), begin, end);
                             });
  m.sum_is_empty = false;
}

Tensor Pointwise::weight_gradient() const {
  const Impl& m = *impl_;
  Tensor result(Shape{m.spec.out, m.spec.in, 1, 1});
  float* to = result.mutable_data().data();
  const TimedWork work(StepWork::kWeightReorder, floats_moved(2 * result.size()));
  if (m.unpack->needed())
    (*m.unpack)(m.sum.floats(), to);
  else
    std::copy_n(m.sum.floats(), result.size(), to);
  return result;
}

}  // namespace branchy::dnn
