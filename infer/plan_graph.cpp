#include "infer/plan_graph.h"

#include <fmt/core.h>

#include <utility>

#include "core/dnn/inference_convolution.h"
#include "core/dnn/inference_layout.h"
#include "core/dnn/pooling.h"
#include "core/error.h"

namespace branchy::detail {

namespace {

PlanOp op_of(PlanOpKind kind) {
  PlanOp op;
  op.kind = kind;
  return op;
}

}  // namespace

GraphRecorder::GraphRecorder(const Shape& src) { graph_.shapes.push_back(src.with_batch(1)); }

void GraphRecorder::begin_segment(bool is_exit, std::int64_t number, PlanValue src) {
  PlanSegment segment;
  segment.is_exit = is_exit;
  segment.number = number;
  segment.src = src;
  graph_.segments.push_back(std::move(segment));
}

void GraphRecorder::end_segment(PlanValue dst) { graph_.segments.back().dst = dst; }

PlanGraph GraphRecorder::take(std::vector<PlanValue> boundaries) {
  graph_.boundaries = std::move(boundaries);
  return std::move(graph_);
}

const Shape& GraphRecorder::shape(PlanValue value) const {
  return graph_.shapes.at(static_cast<std::size_t>(value));
}

PlanValue GraphRecorder::record(PlanOp op, std::vector<PlanValue> srcs, const Shape& dst) {
  BRANCHY_DCHECK(!graph_.segments.empty());
  op.srcs = std::move(srcs);
  op.dst = static_cast<PlanValue>(graph_.shapes.size());
  graph_.shapes.push_back(dst);
  graph_.segments.back().ops.push_back(std::move(op));
  return graph_.segments.back().ops.back().dst;
}

PlanValue GraphRecorder::convolution(PlanValue src, const ConvolutionOp& op) {
  PlanOp recorded = op_of(PlanOpKind::kConvolution);
  recorded.convolution = op;
  return record(std::move(recorded), {src}, dnn::convolution_output_shape(shape(src), op));
}

PlanValue GraphRecorder::batch_norm(PlanValue src, const BatchNormOp& op) {
  const Shape& s = shape(src);
  if (s.rank() < 2 || op.scale.size() != s[1])
    throw ShapeError(fmt::format("[plan batch norm] src {} does not fit {} channels", s.to_string(),
                                 op.scale.size()));
  PlanOp recorded = op_of(PlanOpKind::kBatchNorm);
  recorded.batch_norm = op;
  return record(std::move(recorded), {src}, Shape(s));
}

PlanValue GraphRecorder::activation(PlanValue src, ActivationKind kind) {
  PlanOp recorded = op_of(PlanOpKind::kActivation);
  recorded.activation_kind = kind;
  return record(std::move(recorded), {src}, Shape(shape(src)));
}

PlanValue GraphRecorder::pool(PlanValue src, const PoolOp& op) {
  PlanOp recorded = op_of(PlanOpKind::kPool);
  recorded.pool = op;
  return record(std::move(recorded), {src}, dnn::pooled_shape(shape(src), op));
}

PlanValue GraphRecorder::subsample(PlanValue src, const SubsampleOp& op) {
  const std::int64_t channels = shape(src)[1];
  Tensor weights = Tensor::zeros({op.front + channels + op.behind, channels, 1, 1});
  const auto values = weights.mutable_data();
  for (std::int64_t c = 0; c < channels; ++c)
    values[static_cast<std::size_t>((op.front + c) * channels + c)] = 1.0F;
  return convolution(src, {.weights = weights, .bias = {}, .stride = op.stride});
}

PlanValue GraphRecorder::linear(PlanValue src, const LinearOp& op) {
  const Shape& s = shape(src);
  const Shape& w = op.weights.shape();
  if (s.rank() != 2 || w.rank() != 2 || s[1] != w[1])
    throw ShapeError(
        fmt::format("[plan linear] src {} does not fit weights {}", s.to_string(), w.to_string()));
  PlanOp recorded = op_of(PlanOpKind::kLinear);
  recorded.linear = op;
  return record(std::move(recorded), {src}, {1, w[0]});
}

PlanValue GraphRecorder::flatten(PlanValue src) {
  return record(op_of(PlanOpKind::kFlatten), {src}, {1, shape(src).size()});
}

PlanValue GraphRecorder::add(PlanValue a, PlanValue b) {
  if (shape(a) != shape(b))
    throw ShapeError(fmt::format("[plan add] {} and {} differ; a sum needs equal shapes",
                                 shape(a).to_string(), shape(b).to_string()));
  return record(op_of(PlanOpKind::kAdd), {a, b}, Shape(shape(a)));
}

PlanValue GraphRecorder::concat(std::span<const PlanValue> parts) {
  std::vector<Shape> shapes;
  for (const PlanValue part : parts) shapes.push_back(shape(part));
  return record(op_of(PlanOpKind::kConcat), {parts.begin(), parts.end()},
                dnn::concat_output_shape(shapes));
}

PlanValue GraphRecorder::scale_channels(PlanValue src, PlanValue scale) {
  const Shape& s = shape(src);
  const Shape& f = shape(scale);
  if (s.rank() != 4 || f.rank() < 2 || f[1] != s[1] || f.size() != s[1])
    throw ShapeError(fmt::format("[plan scaling] scale {} does not fit src {}; one per channel",
                                 f.to_string(), s.to_string()));
  return record(op_of(PlanOpKind::kScaleChannels), {src, scale}, Shape(s));
}

}  // namespace branchy::detail
