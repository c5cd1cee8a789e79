#include "core/dnn/inference_linear.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/dnn/inference_impl.h"
#include "core/kernels/linear_rows.h"

namespace branchy::dnn {

namespace {

// Up to this many weights (4 MB, about the cache of a core) the own kernel runs, whose result for a
// sample does not depend on the batch; larger layers need a gemm's reuse of weights.
constexpr std::int64_t kOwnKernelWeights = 1 << 20;

/// The weights' layout as rows that lie like one sample of `src`; nothing when a blocked layout
/// pads the channels, or is one that is not known here.
std::optional<dnnl::memory::desc> rows_like(const ValueLayout& src, const Shape& seen) {
  if (src.layout == nullptr) return plain_desc(seen);
  using Tag = dnnl::memory::format_tag;
  constexpr auto kFloat = dnnl::memory::data_type::f32;
  for (const Tag tag : {Tag::nChw16c, Tag::nChw8c, Tag::nChw4c, Tag::nhwc}) {
    if (dnnl::memory::desc(to_dims(src.shape), kFloat, tag) != desc_of(src)) continue;
    const dnnl::memory::desc rows(to_dims(seen), kFloat, tag);
    if (rows.get_size() == static_cast<std::size_t>(seen.size()) * sizeof(float)) return rows;
  }
  return std::nullopt;
}

void activate(float* values, std::int64_t count, ActivationKind kind) {
  for (std::int64_t i = 0; i < count; ++i) {
    float& x = values[i];
    switch (kind) {
      case ActivationKind::kRelu:
        x = std::max(x, 0.0F);
        break;
      case ActivationKind::kRelu6:
        x = std::clamp(x, 0.0F, 6.0F);
        break;
      case ActivationKind::kSigmoid:
        x = 1.0F / (1.0F + std::exp(-x));
        break;
    }
  }
}

void make_own(InferencePrimitive::Impl& impl, const ValueLayout& src, PackedTensor& weights,
              const Tensor& bias, const PostOps& post) {
  const Shape& w = weights.plain().shape();
  const Shape seen = src.shape.with_batch(w[0]);
  const auto rows = rows_like(src, seen);
  const float* packed =
      packed_values(impl, weights, plain_desc(seen), rows ? *rows : plain_desc(seen));
  if (bias.defined()) impl.owners.push_back(std::make_shared<const Tensor>(bias));
  kernels::LinearRows task;
  task.weights = packed;
  task.bias = bias.defined() ? bias.data().data() : nullptr;
  task.rows = src.shape[0];
  task.in = w[1];
  task.out = w[0];
  impl.implementation = "own:linear_rows";
  impl.srcs = {rows ? src : ValueLayout{src.shape, nullptr}};
  impl.dst = {{src.shape[0], w[0]}, nullptr};
  impl.kernel = [task, post](const float* from, float* to, float*) {
    kernels::LinearRows bound = task;
    bound.src = from;
    bound.dst = to;
    kernels::linear_rows(bound);
    if (post.activate) activate(to, task.rows * task.out, post.activation);
  };
}

void make_gemm(InferencePrimitive::Impl& impl, const ValueLayout& src, PackedTensor& weights,
               const Tensor& bias, const PostOps& post) {
  const Shape& w = weights.plain().shape();
  const Shape dst{src.shape[0], w[0]};
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
  add_packed(impl, DNNL_ARG_WEIGHTS, weights, plain_desc(seen), pd.weights_desc());
  if (bias.defined()) add_plain(impl, DNNL_ARG_BIAS, bias);
}

}  // namespace

InferencePrimitive make_inference_linear(const ValueLayout& src, PackedTensor& weights,
                                         const Tensor& bias, const PostOps& post) {
  const Shape& w = weights.plain().shape();
  if (src.shape.size() != src.shape[0] * w[1])
    throw ShapeError(fmt::format("[plan linear] src {} has {} features, weights {} expect {}",
                                 src.shape.to_string(), src.shape.size() / src.shape[0],
                                 w.to_string(), w[1]));
  BRANCHY_DCHECK(!post.sum);
  return make_primitive("plan linear", src.shape, [&](InferencePrimitive::Impl& impl) {
    if (w.size() <= kOwnKernelWeights)
      make_own(impl, src, weights, bias, post);
    else
      make_gemm(impl, src, weights, bias, post);
  });
}

}  // namespace branchy::dnn
