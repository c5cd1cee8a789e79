#include "core/dnn/convolution.h"

#include <fmt/core.h>

#include <optional>
#include <utility>

#include "core/dnn/convolution_method.h"
#include "core/dnn/onednn.h"
#include "core/kernels/channel_sums.h"
#include "core/kernels/winograd.h"
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
        dst(convolution_dst(s)),
        weights(weight_descs(s)),
        bias_desc(s.bias ? plain_desc(Shape{s.out}) : memory::desc()),
        amount(amount_of(s, dst, weights.shape)) {
    if (s.transposed)
      build<Transposed>();
    else
      build<Direct>();
  }

  struct Step {
    ConvolutionMethod method = ConvolutionMethod::kDirect;
    dnnl::primitive primitive;  // none of own kernels
    memory::desc src, dst, scratchpad;
    std::string implementation = "own:winograd";

    [[nodiscard]] bool is_own() const { return method == ConvolutionMethod::kWinograd; }
    template <typename Primitive, typename Descriptor>
    void adopt(const Descriptor& descriptor, const memory::desc& src_desc,
               const memory::desc& dst_desc) {
      primitive = Primitive(descriptor);
      src = src_desc;
      dst = dst_desc;
      scratchpad = descriptor.scratchpad_desc();
      implementation = descriptor.impl_info_str();
    }
  };

  /// oneDNN takes its matrix product for row-major images; else it is asked what it likes.
  [[nodiscard]] memory::desc image_desc(const Step& step, const Shape& shape) const {
    return step.method == ConvolutionMethod::kGemm ? plain_desc(shape) : any_desc(shape);
  }

  template <typename Kind>
  typename Kind::Forward::primitive_desc forward_desc(const Step& step) const {
    return {{prop_kind::forward_training, Kind::kAlgorithm, image_desc(step, spec.src), weights.any,
             bias_desc, image_desc(step, dst), strides(), padding(), padding()},
            user_scratchpad_attr(),
            cpu_engine()};
  }

  template <typename Kind>
  void build() {
    for (auto [step, pass] : {std::pair{&forward, ConvolutionPass::kForward},
                              std::pair{&data, ConvolutionPass::kBackwardData},
                              std::pair{&gradient, ConvolutionPass::kBackwardWeights}})
      step->method = choose_convolution_method(spec, pass);
    if (!forward.is_own()) {
      const auto pd = forward_desc<Kind>(forward);
      forward.adopt<typename Kind::Forward>(pd, pd.src_desc(), pd.dst_desc());
      packed_forward.emplace(weights.plain, pd.weights_desc());
    }
    if (!data.is_own()) {
      const typename Kind::BackwardData::primitive_desc pd(
          {Kind::kAlgorithm, image_desc(data, spec.src), weights.any, image_desc(data, dst),
           strides(), padding(), padding()},
          user_scratchpad_attr(), cpu_engine(), forward_desc<Kind>(data));
      data.adopt<typename Kind::BackwardData>(pd, pd.diff_src_desc(), pd.diff_dst_desc());
      packed_data.emplace(weights.plain, pd.weights_desc());
    }
    if (!gradient.is_own()) {
      const typename Kind::BackwardWeights::primitive_desc pd(
          {Kind::kAlgorithm, image_desc(gradient, spec.src), weights.any, bias_desc,
           image_desc(gradient, dst), strides(), padding(), padding()},
          user_scratchpad_attr(), cpu_engine(), forward_desc<Kind>(gradient));
      gradient.adopt<typename Kind::BackwardWeights>(pd, pd.src_desc(), pd.diff_dst_desc());
      diff_weights_desc = pd.diff_weights_desc();
      unpack_gradient.emplace(diff_weights_desc, weights.plain);
    }
  }

  [[nodiscard]] memory::dims strides() const { return {spec.stride, spec.stride}; }
  [[nodiscard]] memory::dims padding() const { return {spec.padding, spec.padding}; }

  ConvolutionSpec spec;
  Shape dst;
  WeightDescs weights;
  memory::desc bias_desc;
  WorkAmount amount;  ///< of each of the three
  Step forward, data, gradient;
  std::optional<PackedWeights> packed_forward, packed_data;
  memory::desc diff_weights_desc;
  std::optional<Reorder> unpack_gradient;
};

Convolution::Convolution(const ConvolutionSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;

Tensor Convolution::forward(const Tensor& src, const Tensor& weights, const Tensor& bias) {
  Impl& m = *impl_;
  const TimedWork work(StepWork::kConvolutionForward, m.amount);
  if (m.forward.is_own())
    return kernels::winograd_convolution(src, weights, m.spec.bias ? bias : Tensor(),
                                         kernels::WinogradTaps::kForward, m.spec.padding);
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
  if (m.data.is_own())  // the taps turned, around them what the padding left
    return kernels::winograd_convolution(diff_dst, weights, Tensor(),
                                         kernels::WinogradTaps::kTurned, 2 - m.spec.padding);
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
  if (m.gradient.is_own())
    return {kernels::winograd_weight_gradient(src, diff_dst, m.spec.padding),
            m.spec.bias ? kernels::channel_sums(diff_dst) : Tensor()};
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

std::string Convolution::implementations() const {
  return fmt::format("{} {} {}", impl_->forward.implementation, impl_->data.implementation,
                     impl_->gradient.implementation);
}

}  // namespace branchy::dnn
