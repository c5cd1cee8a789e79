#include "core/dnn/convolution.h"

#include <fmt/core.h>

#include <optional>

#include "core/conv_geometry.h"
#include "core/dnn/onednn.h"
#include "core/step_profile.h"

namespace branchy::dnn {

namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;

/// Descriptors of the weights: row-major as the layer holds them, and `any` for oneDNN. oneDNN
/// wants groups as a leading dimension, and a transposed convolution's weights as [O, C, K, K].
struct WeightDescs {
  Shape shape;
  memory::desc plain, any;
};

WeightDescs weight_descs(const ConvolutionSpec& spec) {
  const std::int64_t in = spec.src[1];
  const std::int64_t k = spec.kernel;
  const auto f32 = memory::data_type::f32;
  WeightDescs d;
  if (spec.transposed) {
    d.shape = Shape{in, spec.out, k, k};
    d.plain = memory::desc({spec.out, in, k, k}, f32, memory::format_tag::iohw);
    d.any = memory::desc({spec.out, in, k, k}, f32, memory::format_tag::any);
    return d;
  }
  d.shape = Shape{spec.out, in / spec.groups, k, k};
  memory::dims dims{spec.out, in / spec.groups, k, k};
  if (spec.groups > 1) dims = {spec.groups, spec.out / spec.groups, in / spec.groups, k, k};
  d.plain = memory::desc(dims, f32,
                         spec.groups > 1 ? memory::format_tag::abcde : memory::format_tag::abcd);
  d.any = memory::desc(dims, f32, memory::format_tag::any);
  return d;
}

Shape dst_shape(const ConvolutionSpec& s) {
  const auto size = s.transposed ? conv_transpose_output_size : conv_output_size;
  return {s.src[0], s.out, size(s.src[2], s.kernel, s.stride, s.padding),
          size(s.src[3], s.kernel, s.stride, s.padding)};
}

WorkAmount amount_of(const ConvolutionSpec& spec, const Shape& dst, const Shape& weights) {
  // Each weight meets every pixel of the side that a kernel is laid over.
  const Shape& pixels = spec.transposed ? spec.src : dst;
  return {.flops = 2.0 * static_cast<double>(weights.size()) *
                   static_cast<double>(pixels[0] * pixels[2] * pixels[3]),
          .bytes = 4.0 * static_cast<double>(spec.src.size() + dst.size() + weights.size())};
}

/// The primitive types of the two directions, which have the same arguments.
struct Direct {
  using Forward = dnnl::convolution_forward;
  using BackwardData = dnnl::convolution_backward_data;
  using BackwardWeights = dnnl::convolution_backward_weights;
  static constexpr algorithm kAlgorithm = algorithm::convolution_direct;
};
struct Transposed {
  using Forward = dnnl::deconvolution_forward;
  using BackwardData = dnnl::deconvolution_backward_data;
  using BackwardWeights = dnnl::deconvolution_backward_weights;
  static constexpr algorithm kAlgorithm = algorithm::deconvolution_direct;
};

}  // namespace

struct Convolution::Impl {
  explicit Impl(const ConvolutionSpec& s)
      : spec(s),
        dst(dst_shape(s)),
        weights(weight_descs(s)),
        bias_desc(s.bias ? plain_desc(Shape{s.out}) : memory::desc()),
        amount(amount_of(s, dst, weights.shape)) {
    if (s.transposed)
      build<Transposed>();
    else
      build<Direct>();
  }

  template <typename Kind>
  void build() {
    const memory::dims strides{spec.stride, spec.stride};
    const memory::dims padding{spec.padding, spec.padding};
    // A plain image of few channels is read as it is; everything else in the layout oneDNN likes.
    const auto src_any = any_desc(spec.src);
    const auto dst_any = any_desc(dst);
    const auto attr = user_scratchpad_attr();
    const typename Kind::Forward::primitive_desc fwd(
        {prop_kind::forward_training, Kind::kAlgorithm, src_any, weights.any, bias_desc, dst_any,
         strides, padding, padding},
        attr, cpu_engine());
    const typename Kind::BackwardData::primitive_desc bwd_data(
        {Kind::kAlgorithm, src_any, weights.any, dst_any, strides, padding, padding}, attr,
        cpu_engine(), fwd);
    const typename Kind::BackwardWeights::primitive_desc bwd_weights(
        {Kind::kAlgorithm, src_any, weights.any, bias_desc, dst_any, strides, padding, padding},
        attr, cpu_engine(), fwd);
    forward = {typename Kind::Forward(fwd), fwd.src_desc(), fwd.dst_desc(), fwd.scratchpad_desc()};
    data = {typename Kind::BackwardData(bwd_data), bwd_data.diff_src_desc(),
            bwd_data.diff_dst_desc(), bwd_data.scratchpad_desc()};
    gradient = {typename Kind::BackwardWeights(bwd_weights), bwd_weights.src_desc(),
                bwd_weights.diff_dst_desc(), bwd_weights.scratchpad_desc()};
    packed_forward.emplace(weights.plain, fwd.weights_desc());
    packed_data.emplace(weights.plain, bwd_data.weights_desc());
    diff_weights_desc = bwd_weights.diff_weights_desc();
    unpack_gradient.emplace(diff_weights_desc, weights.plain);
    implementations = fmt::format("{} {} {}", fwd.impl_info_str(), bwd_data.impl_info_str(),
                                  bwd_weights.impl_info_str());
  }

  struct Step {
    dnnl::primitive primitive;
    memory::desc src, dst, scratchpad;
  };

  ConvolutionSpec spec;
  Shape dst;
  WeightDescs weights;
  memory::desc bias_desc;
  WorkAmount amount;  ///< of each of the three
  Step forward, data, gradient;
  std::optional<PackedWeights> packed_forward, packed_data;
  memory::desc diff_weights_desc;
  std::optional<Reorder> unpack_gradient;
  std::string implementations;
};

Convolution::Convolution(const ConvolutionSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;

Tensor Convolution::forward(const Tensor& src, const Tensor& weights, const Tensor& bias) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionForward, m.amount);
  const Tensor input = in_desc(src, m.forward.src);
  Tensor dst = empty_with_desc(m.dst, m.forward.dst);
  const float* packed = m.packed_forward->get(weights);
  Arguments arguments{{DNNL_ARG_SRC, memory_of(input)},
                      {DNNL_ARG_WEIGHTS, memory_of(m.packed_forward->desc(), packed)},
                      {DNNL_ARG_DST, memory_of(dst)}};
  if (m.spec.bias) arguments.emplace(DNNL_ARG_BIAS, memory_of(m.bias_desc, bias.data().data()));
  execute(m.forward.primitive, arguments, m.forward.scratchpad);
  m.packed_forward->release();
  return dst;
}

Tensor Convolution::backward_data(const Tensor& diff_dst, const Tensor& weights) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionData, m.amount);
  const Tensor input = in_desc(diff_dst, m.data.dst);
  Tensor diff_src = empty_with_desc(m.spec.src, m.data.src);
  const float* packed = m.packed_data->get(weights);
  Arguments arguments{{DNNL_ARG_DIFF_DST, memory_of(input)},
                      {DNNL_ARG_WEIGHTS, memory_of(m.packed_data->desc(), packed)},
                      {DNNL_ARG_DIFF_SRC, memory_of(diff_src)}};
  execute(m.data.primitive, arguments, m.data.scratchpad);
  m.packed_data->release();
  return diff_src;
}

Convolution::WeightGradients Convolution::backward_weights(const Tensor& src,
                                                           const Tensor& diff_dst) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionWeights, m.amount);
  const Tensor input = in_desc(src, m.gradient.src);
  const Tensor diff = in_desc(diff_dst, m.gradient.dst);
  WeightGradients result{Tensor(m.weights.shape),
                         m.spec.bias ? Tensor(Shape{m.spec.out}) : Tensor()};
  float* plain = result.weights.mutable_data().data();
  const bool unpack = m.unpack_gradient->needed();
  const Buffer packed(unpack ? m.diff_weights_desc.get_size() : 0);
  Arguments arguments{
      {DNNL_ARG_SRC, memory_of(input)},
      {DNNL_ARG_DIFF_DST, memory_of(diff)},
      {DNNL_ARG_DIFF_WEIGHTS, memory_of(m.diff_weights_desc, unpack ? packed.floats() : plain)}};
  if (m.spec.bias) arguments.emplace(DNNL_ARG_DIFF_BIAS, memory_of(result.bias));
  execute(m.gradient.primitive, arguments, m.gradient.scratchpad);
  if (unpack) {
    const TimedWork unpacking(StepWork::kWeightReorder, floats_moved(2 * m.weights.shape.size()));
    (*m.unpack_gradient)(packed.floats(), plain);
  }
  return result;
}

const ConvolutionSpec& Convolution::spec() const { return impl_->spec; }

std::string Convolution::implementations() const { return impl_->implementations; }

}  // namespace branchy::dnn
