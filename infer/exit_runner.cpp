#include "infer/exit_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/buffer_pool.h"
#include "core/error.h"
#include "infer/plan_graph.h"
#include "infer/program.h"

namespace branchy {

namespace {

/// A program with its primitives bound to an arena.
struct BoundProgram {
  std::shared_ptr<const detail::Program> program;
  std::vector<dnn::InferenceCall> calls;
  const void* arena = nullptr;  ///< what `calls` are bound to
};

}  // namespace

struct ExitRunner::Impl {
  std::shared_ptr<const Plan> plan;
  std::map<std::int64_t, BoundProgram> bound;  // by batch size
  Buffer arena;
  std::int64_t arena_bytes = 0;

  BoundProgram* current = nullptr;  // null before the first start
  std::size_t next_segment = 0;
  std::int64_t next_exit = 0;
  std::function<void(const PartTime&)> stopwatch;

  char* base() const { return static_cast<char*>(arena.data()); }

  float* address(std::size_t buffer) const {
    return reinterpret_cast<float*>(base() + current->program->buffers[buffer].offset);
  }

  void* scratchpad() const { return base() + current->program->scratchpad_offset; }

  void choose_program(std::int64_t batch) {
    auto program = plan->program(batch);
    BoundProgram& entry = bound[batch];
    if (entry.program != program) entry = {std::move(program), {}, nullptr};
    current = &entry;
    if (arena_bytes < entry.program->arena_bytes) {
      arena = Buffer();  // given back first, so that the pool may use it for the larger one
      arena_bytes = entry.program->arena_bytes;
      arena = Buffer(static_cast<std::size_t>(arena_bytes));
    }
    if (entry.arena != arena.data() || entry.calls.empty()) bind();
  }

  void bind() {
    current->calls.clear();
    std::vector<const float*> srcs;
    for (const detail::ProgramStep& step : current->program->steps) {
      srcs.clear();
      for (const std::size_t src : step.srcs) srcs.push_back(address(src));
      current->calls.emplace_back(step.primitive);
      current->calls.back().bind(srcs, address(step.dst), scratchpad());
    }
    current->arena = arena.data();
  }

  void move(const std::optional<dnn::InferencePrimitive>& reorder, const float* from, float* to,
            std::int64_t num_floats) const {
    if (!reorder) {
      std::memcpy(to, from, static_cast<std::size_t>(num_floats) * sizeof(float));
      return;
    }
    dnn::InferenceCall call(*reorder);
    call.bind(std::vector<const float*>{from}, to, scratchpad());
    call.run();
  }

  void start(std::int64_t num_blocks, const Tensor& src) {
    const Shape expected = plan->boundary_shape(num_blocks);
    if (!src.defined() || src.shape().rank() != expected.rank() || src.dim(0) < 1 ||
        src.shape() != expected.with_batch(src.dim(0)))
      throw ShapeError(fmt::format("[exit runner] source is {}, the plan expects {} with any batch",
                                   src.defined() ? src.shape().to_string() : "undefined",
                                   expected.to_string()));
    choose_program(src.dim(0));
    const detail::Program& program = *current->program;
    const auto boundary = static_cast<std::size_t>(num_blocks - plan->part().first_block);
    move(program.entries[boundary], src.data().data(), address(program.boundaries[boundary].buffer),
         src.size());
    const NetworkPart& part = plan->part();
    next_exit = part.first_exit;
    while (next_exit <= part.last_exit && plan->exit_depth(next_exit) < num_blocks) ++next_exit;
    const auto& segments = plan->graph().segments;
    const auto first = std::find_if(segments.begin(), segments.end(), [&](const auto& segment) {
      return segment.is_exit ? plan->exit_depth(segment.number) >= num_blocks
                             : segment.number >= num_blocks;
    });
    next_segment = static_cast<std::size_t>(first - segments.begin());
  }

  void run_segment(std::size_t segment) {
    const auto [first, end] = current->program->segment_steps[segment];
    if (!stopwatch) {
      for (std::size_t step = first; step < end; ++step) current->calls[step].run();
      return;
    }
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t step = first; step < end; ++step) current->calls[step].run();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    const detail::PlanSegment& part = plan->graph().segments[segment];
    stopwatch({part.is_exit, part.number, took.count()});
  }

  Tensor run_to(std::int64_t exit) {
    const auto& segments = plan->graph().segments;
    for (;; ++next_segment) {
      const detail::PlanSegment& segment = segments[next_segment];
      if (segment.is_exit && segment.number < exit) continue;
      run_segment(next_segment);
      if (segment.is_exit) break;
    }
    const detail::ProgramValue& value = current->program->segment_dsts[next_segment++];
    Tensor logits(value.layout.shape);
    std::memcpy(logits.mutable_data().data(), address(value.buffer),
                static_cast<std::size_t>(logits.size()) * sizeof(float));
    next_exit = exit + 1;
    return logits;
  }

  /// Trunk blocks of the network that are behind this request.
  std::int64_t blocks_done() const {
    const auto& segments = plan->graph().segments;
    for (std::size_t segment = next_segment; segment < segments.size(); ++segment)
      if (!segments[segment].is_exit) return segments[segment].number;
    return plan->part().end_block;
  }

  // A boundary's buffer is read by the next block at the latest, so it holds the value until then.
  Tensor value_after(std::int64_t num_blocks) {
    const auto& segments = plan->graph().segments;
    for (; next_segment < segments.size(); ++next_segment) {
      const detail::PlanSegment& segment = segments[next_segment];
      if (segment.is_exit ? plan->exit_depth(segment.number) >= num_blocks
                          : segment.number >= num_blocks)
        break;
      if (!segment.is_exit) run_segment(next_segment);
    }
    while (next_exit <= plan->part().last_exit && plan->exit_depth(next_exit) < num_blocks)
      ++next_exit;
    const auto boundary = static_cast<std::size_t>(num_blocks - plan->part().first_block);
    const detail::ProgramValue& value = current->program->boundaries[boundary];
    Tensor result(value.layout.shape);
    move(current->program->leaves[boundary], address(value.buffer), result.mutable_data().data(),
         result.size());
    return result;
  }
};

ExitRunner::ExitRunner(std::shared_ptr<const Plan> plan) : impl_(std::make_unique<Impl>()) {
  BRANCHY_DCHECK(plan != nullptr);
  impl_->plan = std::move(plan);
}

ExitRunner::~ExitRunner() = default;
ExitRunner::ExitRunner(ExitRunner&&) noexcept = default;
ExitRunner& ExitRunner::operator=(ExitRunner&&) noexcept = default;

void ExitRunner::start(const Tensor& src) {
  impl_->current = nullptr;
  impl_->start(impl_->plan->part().first_block, src);
}

void ExitRunner::start_after(std::int64_t num_blocks, const Tensor& feature) {
  impl_->current = nullptr;
  impl_->start(num_blocks, feature);
}

bool ExitRunner::has_next() const {
  return impl_->current != nullptr && impl_->next_exit <= impl_->plan->part().last_exit;
}

ExitOutput ExitRunner::next_exit() {
  if (!has_next()) throw Error("[exit runner] no exit is ahead; start a request or ask has_next()");
  const std::int64_t exit = impl_->next_exit;
  return {exit, impl_->run_to(exit)};
}

ExitOutput ExitRunner::run_to(std::int64_t exit) {
  if (!has_next() || exit < impl_->next_exit || exit > impl_->plan->part().last_exit)
    throw Error(fmt::format("[exit runner] exit {} is not ahead of this request", exit));
  return {exit, impl_->run_to(exit)};
}

Tensor ExitRunner::feature() {
  if (impl_->current == nullptr) throw Error("[exit runner] no request; call start first");
  const std::int64_t end = impl_->plan->part().end_block;
  Tensor value = impl_->value_after(end);
  impl_->next_segment = impl_->plan->graph().segments.size();
  impl_->next_exit = impl_->plan->part().last_exit + 1;
  return value;
}

Tensor ExitRunner::value_after(std::int64_t num_blocks) {
  if (impl_->current == nullptr) throw Error("[exit runner] no request; call start first");
  const std::int64_t done = impl_->blocks_done();
  const std::int64_t end = impl_->plan->part().end_block;
  if (num_blocks < done || num_blocks > end)
    throw Error(fmt::format(
        "[exit runner] the value after {} trunk blocks is asked, this request is behind {} of {}",
        num_blocks, done, end));
  return impl_->value_after(num_blocks);
}

void ExitRunner::set_stopwatch(std::function<void(const PartTime&)> stopwatch) {
  impl_->stopwatch = std::move(stopwatch);
}

}  // namespace branchy
