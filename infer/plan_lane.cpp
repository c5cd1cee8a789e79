#include "infer/plan_lane.h"

#include <cstring>
#include <utility>

namespace branchy::detail {

float* PlanLane::address(std::size_t buffer) const {
  return reinterpret_cast<float*>(static_cast<char*>(arena_.data()) +
                                  current_->program->buffers[buffer].offset);
}

float* PlanLane::address_of_boundary(std::size_t boundary) const {
  return address(current_->program->boundaries[boundary].buffer);
}

void* PlanLane::scratchpad() const {
  return static_cast<char*>(arena_.data()) + current_->program->scratchpad_offset;
}

void PlanLane::use(std::shared_ptr<const Program> program) {
  Bound& entry = bound_[program->batch];
  if (entry.program != program) entry = {std::move(program), {}, nullptr};
  current_ = &entry;
  if (arena_bytes_ < entry.program->arena_bytes) {
    arena_ = Buffer();  // given back first, so that the pool may use it for the larger one
    arena_bytes_ = entry.program->arena_bytes;
    arena_ = Buffer(static_cast<std::size_t>(arena_bytes_));
  }
  if (entry.arena != arena_.data() || entry.calls.empty()) bind();
}

void PlanLane::bind() {
  current_->calls.clear();
  std::vector<const float*> srcs;
  for (const ProgramStep& step : current_->program->steps) {
    srcs.clear();
    for (const std::size_t src : step.srcs) srcs.push_back(address(src));
    current_->calls.emplace_back(step.primitive);
    current_->calls.back().bind(srcs, address(step.dst), scratchpad());
  }
  current_->arena = arena_.data();
}

void PlanLane::move(const std::optional<dnn::InferencePrimitive>& reorder, const float* from,
                    float* to, std::int64_t num_floats) const {
  if (!reorder) {
    std::memcpy(to, from, static_cast<std::size_t>(num_floats) * sizeof(float));
    return;
  }
  dnn::InferenceCall call(*reorder);
  call.bind(std::vector<const float*>{from}, to, scratchpad());
  call.run();
}

void PlanLane::enter(std::size_t boundary, const float* src) {
  const Program& program = *current_->program;
  move(program.entries[boundary], src, address_of_boundary(boundary),
       program.boundaries[boundary].layout.shape.size());
}

void PlanLane::leave(std::size_t boundary, float* dst) {
  const Program& program = *current_->program;
  move(program.leaves[boundary], address_of_boundary(boundary), dst,
       program.boundaries[boundary].layout.shape.size());
}

void PlanLane::load(std::size_t boundary, const void* value) {
  std::memcpy(address_of_boundary(boundary), value,
              static_cast<std::size_t>(boundary_bytes(boundary)));
}

void PlanLane::save(std::size_t boundary, void* value) const {
  std::memcpy(value, address_of_boundary(boundary),
              static_cast<std::size_t>(boundary_bytes(boundary)));
}

std::int64_t PlanLane::boundary_bytes(std::size_t boundary) const {
  return dnn::num_bytes(current_->program->boundaries[boundary].layout);
}

void PlanLane::run_segment(std::size_t segment,
                           const std::function<void(const ProgramStep&, const float*)>& before) {
  const auto [first, end] = current_->program->segment_steps[segment];
  for (std::size_t index = first; index < end; ++index) {
    const ProgramStep& step = current_->program->steps[index];
    if (before) before(step, address(step.srcs[0]));
    current_->calls[index].run();
  }
}

const float* PlanLane::logits(std::size_t segment) const {
  return address(current_->program->segment_dsts[segment].buffer);
}

}  // namespace branchy::detail
