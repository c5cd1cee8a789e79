#include "infer/program.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/dnn/inference_convolution.h"
#include "core/dnn/inference_elementwise.h"
#include "core/dnn/inference_layout.h"
#include "core/dnn/inference_linear.h"
#include "core/dnn/inference_pooling.h"
#include "core/dnn/inference_winograd.h"
#include "core/error.h"

namespace branchy::detail {

namespace {

class Compiler {
 public:
  Compiler(const PlanGraph& graph, std::int64_t batch, bool src_is_image)
      : graph_(graph), src_is_image_(src_is_image), forms_(graph.shapes.size()) {
    program_.batch = batch;
  }

  Program run() {
    find_last_reads();
    find_int8_values();
    const PlanValue src = graph_.boundaries.front();
    const Shape shape = shape_of(src);
    add_form(src, src_is_image_ ? dnn::ValueLayout{shape, nullptr} : dnn::preferred_layout(shape));
    add_boundary(src);
    for (const PlanSegment& segment : graph_.segments) compile_segment(segment);
    // What the part hands on must outlive the exits that follow the last block.
    touch(program_.boundaries.back().buffer, num_steps() + 1);
    add_entries_and_leaves();
    plan_memory();
    return std::move(program_);
  }

 private:
  /// One physical form of a value.
  struct Form {
    dnn::ValueLayout layout;
    std::size_t buffer = 0;
  };

  Shape shape_of(PlanValue value) const {
    return graph_.shapes[static_cast<std::size_t>(value)].with_batch(program_.batch);
  }
  std::vector<Form>& forms(PlanValue value) { return forms_[static_cast<std::size_t>(value)]; }
  std::int64_t num_steps() const { return static_cast<std::int64_t>(program_.steps.size()); }

  void find_last_reads() {
    last_read_.assign(graph_.shapes.size(), -1);
    std::int64_t position = 0;
    for (const PlanSegment& segment : graph_.segments) {
      for (const PlanOp& op : segment.ops) {
        for (const PlanValue src : op.srcs) last_read_[static_cast<std::size_t>(src)] = position;
        ++position;
      }
      last_read_[static_cast<std::size_t>(segment.dst)] = position;
    }
    last_read_[static_cast<std::size_t>(graph_.boundaries.back())] = position + 1;
    // A flattened value may share the memory of the value that it flattens.
    for (auto segment = graph_.segments.rbegin(); segment != graph_.segments.rend(); ++segment)
      for (auto op = segment->ops.rbegin(); op != segment->ops.rend(); ++op) {
        if (op->kind != PlanOpKind::kFlatten) continue;
        std::int64_t& last = last_read_[static_cast<std::size_t>(op->srcs[0])];
        last = std::max(last, last_read_[static_cast<std::size_t>(op->dst)]);
      }
  }

  /// Values within a segment that operations in 8 bits alone read, and what they lie between.
  void find_int8_values() {
    std::set<PlanValue> others(graph_.boundaries.begin(), graph_.boundaries.end());
    for (const PlanSegment& segment : graph_.segments) {
      others.insert(segment.dst);
      for (const PlanOp& op : segment.ops)
        for (std::size_t i = 0; i < op.srcs.size(); ++i) {
          if (op.int8 && i == 0)
            int8_values_.emplace(op.srcs[i], *op.int8);
          else
            others.insert(op.srcs[i]);
        }
    }
    for (const PlanValue value : others) int8_values_.erase(value);
  }

  void touch(std::size_t buffer, std::int64_t step) {
    PlannedBuffer& planned = program_.buffers[buffer];
    planned.last = std::max(planned.last, step);
  }

  Form& add_form(PlanValue value, const dnn::ValueLayout& layout) {
    PlannedBuffer planned;
    planned.bytes = dnn::num_bytes(layout);
    planned.first = planned.last = num_steps();
    program_.buffers.push_back(planned);
    forms(value).push_back({layout, program_.buffers.size() - 1});
    return forms(value).back();
  }

  void add_step(const dnn::InferencePrimitive& primitive, std::vector<std::size_t> srcs,
                std::size_t dst, bool is_reorder) {
    for (const std::size_t src : srcs) touch(src, num_steps());
    touch(dst, num_steps());
    program_.steps.push_back({primitive, std::move(srcs), dst, is_reorder});
  }

  /// The value in the wanted layout, reordered if it has no such form yet.
  Form form_in(PlanValue value, const dnn::ValueLayout& wanted) {
    for (const Form& form : forms(value))
      if (dnn::same_layout(form.layout, wanted)) return form;
    const Form from = forms(value).front();
    dnn::ValueLayout to = wanted;
    to.shape = from.layout.shape;
    Form made = add_form(value, to);
    add_step(dnn::make_inference_reorder(from.layout, to), {from.buffer}, made.buffer, true);
    return made;
  }

  /// The buffer that holds the addend and will hold the sum: the addend's own when nobody reads
  /// the addend afterwards, else a copy.
  std::size_t sum_buffer(PlanValue addend, const PlanOp& op, const dnn::ValueLayout& dst) {
    const Form form = form_in(addend, dst);
    const bool dead =
        last_read_[static_cast<std::size_t>(addend)] <= position_ && op.srcs[0] != addend;
    if (dead) {
      forms(op.dst).push_back({dst, form.buffer});
      return form.buffer;
    }
    const Form copy = add_form(op.dst, dst);
    add_step(dnn::make_inference_reorder(dst, dst), {form.buffer}, copy.buffer, false);
    return copy.buffer;
  }

  void add_primitive(const PlanOp& op, const dnn::InferencePrimitive& primitive) {
    std::vector<std::size_t> srcs;
    for (std::size_t i = 0; i < primitive.srcs().size(); ++i)
      srcs.push_back(form_in(op.srcs[i], primitive.srcs()[i]).buffer);
    const std::size_t dst = primitive.accumulates() ? sum_buffer(op.srcs[1], op, primitive.dst())
                                                    : add_form(op.dst, primitive.dst()).buffer;
    add_step(primitive, std::move(srcs), dst, false);
    program_.steps.back().op = op_;
  }

  /// Row-major values are flat already; others are brought into row-major order. A linear layer in
  /// float32 takes the unflattened value instead and needs neither.
  void compile_flatten(const PlanOp& op) {
    const Form from = forms(op.srcs[0]).front();
    unflattened_[op.dst] = op.srcs[0];
    if (from.layout.layout == nullptr)
      forms(op.dst).push_back({{shape_of(op.dst), nullptr}, from.buffer});
  }

  /// A flattened value of which only the unflattened form exists so far.
  void require_form(PlanValue value) {
    if (!forms(value).empty()) return;
    const PlanValue image = unflattened_.at(value);
    const Form plain = form_in(image, {shape_of(image), nullptr});
    forms(value).push_back({{shape_of(value), nullptr}, plain.buffer});
  }

  dnn::InferencePrimitive linear(const PlanOp& op, PlanValue src) {
    return dnn::make_inference_linear(forms(src).front().layout, *op.weights, op.linear.bias,
                                      op.post);
  }

  /// Whether cutting off at the ends of 8 bits does what the activation would.
  static bool cuts_off_like(const dnn::PostOps& post, const dnn::ValueRange& range) {
    if (!post.activate) return true;
    const bool ends_alike = post.activation == ActivationKind::kRelu ||
                            (post.activation == ActivationKind::kRelu6 && range.high <= 6.0F);
    return range.low >= 0.0F && ends_alike;
  }

  /// The result is left in 8 bits where nobody wants another form of it.
  dnn::InferencePrimitive int8_convolution(const PlanOp& op) {
    dnn::Int8Op int8{.src = *op.int8, .dst = {}};
    const auto wanted = int8_values_.find(op.dst);
    if (wanted != int8_values_.end() && !op.post.sum && cuts_off_like(op.post, wanted->second))
      int8.dst = wanted->second;
    return dnn::make_inference_int8_convolution(shape_of(op.srcs[0]), op.convolution, *op.weights,
                                                op.post, int8);
  }

  dnn::InferencePrimitive primitive_of(const PlanOp& op) {
    const dnn::ValueLayout& src = forms(op.srcs[0]).front().layout;
    switch (op.kind) {
      case PlanOpKind::kConvolution:
        if (op.int8) return int8_convolution(op);
        if (dnn::winograd_takes(src.shape, op.convolution, op.post))
          return dnn::make_inference_winograd(src.shape, op.convolution, *op.weights, op.post);
        return dnn::make_inference_convolution(src.shape, op.convolution, *op.weights, op.post);
      case PlanOpKind::kLinear:
        if (op.int8)
          return dnn::make_inference_int8_linear(src.shape, *op.weights, op.linear.bias, op.post,
                                                 *op.int8);
        return linear(op, op.srcs[0]);
      case PlanOpKind::kBatchNorm:
        return dnn::make_inference_batch_norm(src, op.batch_norm, op.post.activate);
      case PlanOpKind::kActivation:
        return dnn::make_inference_activation(src, op.activation_kind);
      case PlanOpKind::kPool:
        return dnn::make_inference_pooling(src, op.pool);
      case PlanOpKind::kAdd:
        return dnn::make_inference_add(src, shape_of(op.srcs[1]), op.post);
      case PlanOpKind::kScaleChannels:
        return dnn::make_inference_scale_channels(src, shape_of(op.srcs[1]));
      default:
        break;
    }
    std::vector<dnn::ValueLayout> parts;
    for (const PlanValue part : op.srcs) parts.push_back(forms(part).front().layout);
    return dnn::make_inference_concat(parts);
  }

  void compile_op(const PlanOp& op) {
    if (op.kind == PlanOpKind::kFlatten) return compile_flatten(op);
    if (op.kind == PlanOpKind::kLinear && !op.int8 && unflattened_.contains(op.srcs[0])) {
      PlanOp direct = op;
      direct.srcs[0] = unflattened_.at(op.srcs[0]);
      return add_primitive(direct, linear(direct, direct.srcs[0]));
    }
    for (const PlanValue src : op.srcs) require_form(src);
    add_primitive(op, primitive_of(op));
  }

  void compile_segment(const PlanSegment& segment) {
    const std::size_t first = program_.steps.size();
    op_ = 0;
    for (const PlanOp& op : segment.ops) {
      compile_op(op);
      ++position_;
      ++op_;
    }
    require_form(segment.dst);
    if (segment.is_exit) {
      const Form logits = form_in(segment.dst, {shape_of(segment.dst), nullptr});
      touch(logits.buffer, num_steps());
      program_.segment_dsts.push_back({logits.layout, logits.buffer});
    } else {
      const dnn::ValueLayout wanted = segment.dst == graph_.boundaries.front()
                                          ? forms(segment.dst).front().layout
                                          : dnn::preferred_layout(shape_of(segment.dst));
      const Form form = form_in(segment.dst, wanted);
      forms(segment.dst) = {form};  // what follows sees the canonical layout only
      add_boundary(segment.dst);
      program_.segment_dsts.push_back(program_.boundaries.back());
    }
    program_.segment_steps.emplace_back(first, program_.steps.size());
    // Other forms of the source are this segment's: it may be left out, and a lane that computes
    // sample by sample brings nothing but the boundary from one segment to the next.
    auto& of_src = forms(segment.src);
    of_src.erase(of_src.begin() + 1, of_src.end());
  }

  void add_boundary(PlanValue value) {
    const Form& form = forms(value).front();
    touch(form.buffer, num_steps());
    program_.boundaries.push_back({form.layout, form.buffer});
  }

  void add_entries_and_leaves() {
    for (const ProgramValue& boundary : program_.boundaries) {
      const dnn::ValueLayout plain{boundary.layout.shape, nullptr};
      std::optional<dnn::InferencePrimitive> entry, leave;
      if (boundary.layout.layout) {
        entry = dnn::make_inference_reorder(plain, boundary.layout);
        leave = dnn::make_inference_reorder(boundary.layout, plain);
      }
      program_.entries.push_back(std::move(entry));
      program_.leaves.push_back(std::move(leave));
    }
  }

  void plan_memory() {
    program_.scratchpad_offset = assign_offsets(program_.buffers);
    std::int64_t scratchpad = 0;
    const auto need = [&](const dnn::InferencePrimitive& primitive) {
      scratchpad = std::max(scratchpad, primitive.scratchpad_bytes());
    };
    for (const ProgramStep& step : program_.steps) need(step.primitive);
    for (const auto* reorders : {&program_.entries, &program_.leaves})
      for (const auto& reorder : *reorders)
        if (reorder) need(*reorder);
    program_.arena_bytes = program_.scratchpad_offset + scratchpad;
  }

  const PlanGraph& graph_;
  bool src_is_image_;
  Program program_;
  std::vector<std::vector<Form>> forms_;  // of each value
  std::vector<std::int64_t> last_read_;   // of each value: position among all operations
  std::map<PlanValue, PlanValue> unflattened_;
  std::map<PlanValue, dnn::ValueRange> int8_values_;
  std::int64_t position_ = 0;
  std::int64_t op_ = 0;  // of the segment
};

}  // namespace

std::int64_t Program::num_reorder_steps() const {
  return std::count_if(steps.begin(), steps.end(),
                       [](const ProgramStep& step) { return step.is_reorder; });
}

Program compile(const PlanGraph& graph, std::int64_t batch, bool src_is_image) {
  return Compiler(graph, batch, src_is_image).run();
}

}  // namespace branchy::detail
