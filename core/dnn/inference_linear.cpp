#include "core/dnn/inference_linear.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/dnn/inference_impl.h"
#include "core/kernels/inference_winograd.h"
#include "core/kernels/linear_panels.h"
#include "core/kernels/linear_rows.h"

namespace branchy::dnn {

namespace {

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

void make_rows(InferencePrimitive::Impl& impl, const ValueLayout& src, PackedTensor& weights,
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

/// Panels of the weights in the order in which a sample of the source lies; whether as halves.
bool set_panels(InferencePrimitive::Impl& impl, PackedTensor& weights, const Shape& seen,
                const dnnl::memory::desc& rows, kernels::LinearPanels& task) {
  const auto plain = weights.plain().data();
  task.halves = kernels::are_halves(plain);
  const OwnForm form = task.halves ? OwnForm::kHalfPanels : OwnForm::kPanels;
  const auto make = [&](const float* values) {
    return task.halves ? kernels::linear_panels_halves(values, task.out, task.in, task.lanes)
                       : kernels::linear_panels_weights(values, task.out, task.in, task.lanes);
  };
  const Reorder reorder(plain_desc(seen), rows);
  task.weights = own_form(impl, weights, form, [&] {
    if (!reorder.needed()) return make(plain.data());
    const Buffer ordered(rows.get_size());
    reorder(plain.data(), ordered.floats());
    return make(ordered.floats());
  });
  return task.halves;
}

void make_panels(InferencePrimitive::Impl& impl, const ValueLayout& src, PackedTensor& weights,
                 const Tensor& bias, const PostOps& post) {
  const Shape& w = weights.plain().shape();
  const Shape seen = src.shape.with_batch(w[0]);
  const auto rows = rows_like(src, seen);
  kernels::LinearPanels task;
  task.lanes = kernels::inference_lanes();
  task.rows = src.shape[0];
  task.in = w[1];
  task.out = w[0];
  const bool halves = set_panels(impl, weights, seen, rows ? *rows : plain_desc(seen), task);
  const bool clips = post.activate && post.activation != ActivationKind::kSigmoid;
  task.clip = clip_of(clips ? post : PostOps{});
  task.bias = aligned_bias(impl, bias, task.num_panels() * task.columns());
  const std::int64_t threads = calling_thread_width();
  impl.implementation = halves ? "own:linear_panels_f16" : "own:linear_panels";
  impl.srcs = {rows ? src : ValueLayout{src.shape, nullptr}};
  impl.dst = {{task.rows, task.out}, nullptr};
  impl.kernel_scratchpad_bytes =
      threads * task.scratch() * static_cast<std::int64_t>(sizeof(float));
  impl.kernel = [task, threads, post, clips](const float* from, float* to, float* scratch) {
    kernels::linear_panels(task, threads, from, to, scratch);
    if (post.activate && !clips) activate(to, task.rows * task.out, post.activation);
  };
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
    if (w.size() <= kCachedLinearWeights)
      make_rows(impl, src, weights, bias, post);
    else
      make_panels(impl, src, weights, bias, post);
  });
}

}  // namespace branchy::dnn
