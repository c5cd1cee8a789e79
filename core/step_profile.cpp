#include "core/step_profile.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

double seconds_of(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::string_view name_of(StepWork work) {
  constexpr std::string_view kNames[kNumStepWorks] = {"convolution forward",
                                                      "convolution data gradient",
                                                      "convolution weight gradient",
                                                      "norm + depth-wise convolution",
                                                      "norm",
                                                      "elementwise",
                                                      "pooling",
                                                      "linear",
                                                      "loss",
                                                      "reorder of activations",
                                                      "reorder of weights",
                                                      "optimiser",
                                                      "loader wait",
                                                      "other"};
  return kNames[static_cast<std::size_t>(work)];
}

StepProfile::Step::Step(StepProfile* profile) : profile_(profile) {
  if (profile_ == nullptr) return;
  BRANCHY_DCHECK(detail::step_profile == nullptr);
  detail::step_profile = profile_;
  profile_->enter(nullptr, Direction::kForward, StepWork::kOther, {});
}

StepProfile::Step::~Step() {
  if (profile_ == nullptr) return;
  const Clock::time_point start = profile_->open_.front().start;
  profile_->leave();
  profile_->seconds_ += seconds_of(Clock::now() - start);
  ++profile_->num_steps_;
  detail::step_profile = nullptr;
}

void StepProfile::enter(WorkOwnerPtr owner, Direction direction, StepWork work,
                        const WorkAmount& amount) {
  open_.push_back({std::move(owner), direction, work, amount, Clock::now(), {}});
}

void StepProfile::leave() {
  const Clock::duration whole = Clock::now() - open_.back().start;
  add(open_.back(), whole - open_.back().inner);
  open_.pop_back();
  if (!open_.empty()) open_.back().inner += whole;
}

void StepProfile::add(const Span& span, Clock::duration own) {
  const std::string_view name = span.owner ? std::string_view(span.owner->name) : "";
  // A few hundred rows, compared from the front: cheap beside the work that they stand for.
  auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) {
    return r.work == span.work && r.direction == span.direction && r.owner.name == name;
  });
  if (row == rows_.end()) {
    row = rows_.emplace(rows_.end());
    row->direction = span.direction;
    row->work = span.work;
    if (span.owner) row->owner = *span.owner;
  }
  ++row->calls;
  row->seconds += seconds_of(own);
  row->amount.flops += span.amount.flops;
  row->amount.bytes += span.amount.bytes;
}

WorkOwnerPtr current_work_owner() {
  const StepProfile* profile = detail::step_profile;
  return profile == nullptr ? nullptr : profile->open_.back().owner;
}

void TimedWork::begin(StepWork work, const WorkAmount& amount) {
  const StepProfile::Span& outer = profile_->open_.back();
  profile_->enter(outer.owner, outer.direction, work, amount);
}

void OwnedWork::begin(WorkOwnerPtr owner, Direction direction) {
  profile_->enter(std::move(owner), direction, StepWork::kOther, {});
}

}  // namespace branchy
