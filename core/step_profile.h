// StepProfile: where the time of training steps goes, by layer and by kind of work.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace branchy {

enum class StepWork {
  kConvolutionForward,
  kConvolutionData,     ///< gradient of its source
  kConvolutionWeights,  ///< gradient of its weights and bias
  kDepthwise,           ///< with the batch norm in front of it, both directions
  kNorm,
  kElementwise,
  kPooling,
  kLinear,
  kLoss,
  kReorder,        ///< changes of an activation's layout
  kWeightReorder,  ///< changes of the layout of weights and of their gradients
  kOptimizer,
  kLoaderWait,
  kOther  ///< what no kernel did: the graph, memory, the step's own bookkeeping
};
inline constexpr std::size_t kNumStepWorks = static_cast<std::size_t>(StepWork::kOther) + 1;
/// "convolution forward", ...
[[nodiscard]] std::string_view name_of(StepWork work);

/// What a piece of work has to do at least: its multiplications and additions, and the bytes of its
/// operands, read once, and of its results, written once.
struct WorkAmount {
  double flops = 0.0, bytes = 0.0;
};
/// Of a pass that does little else.
[[nodiscard]] constexpr WorkAmount floats_moved(std::int64_t count) {
  return {.bytes = static_cast<double>(count) * sizeof(float)};
}

enum class Direction { kForward, kBackward };

/// Whose work it is: a layer, or an operation outside of all layers.
struct WorkOwner {
  std::string name;  ///< hierarchical, as in checkpoints
  std::string type;
};
using WorkOwnerPtr = std::shared_ptr<const WorkOwner>;

/// Collects while a Step is alive, in the thread of that Step alone: nested pieces of work count
/// for themselves and not for what they are part of, so the sum of all rows is the wall time of the
/// steps.
///
/// Without a Step every scope below costs one comparison with null.
class StepProfile {
 public:
  /// One training step, from its batch to the changed parameters. Null does nothing.
  class Step {
   public:
    explicit Step(StepProfile* profile);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    StepProfile* profile_;
  };

  struct Row {
    WorkOwner owner;  ///< empty: outside of all layers
    Direction direction = Direction::kForward;
    StepWork work = StepWork::kOther;
    std::int64_t calls = 0;
    double seconds = 0.0;
    WorkAmount amount;
  };

  [[nodiscard]] std::int64_t num_steps() const { return num_steps_; }
  /// Of all steps, wall time.
  [[nodiscard]] double seconds() const { return seconds_; }
  /// Sums over all steps, in the order in which they were met first.
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

 private:
  friend class TimedWork;
  friend class OwnedWork;
  friend WorkOwnerPtr current_work_owner();
  using Clock = std::chrono::steady_clock;

  struct Span {
    WorkOwnerPtr owner;
    Direction direction;
    StepWork work;
    WorkAmount amount;
    Clock::time_point start;
    Clock::duration inner;  // of nested spans
  };
  void enter(WorkOwnerPtr owner, Direction direction, StepWork work, const WorkAmount& amount);
  void leave();
  void add(const Span& span, Clock::duration own);

  std::vector<Span> open_;
  std::vector<Row> rows_;
  std::int64_t num_steps_ = 0;
  double seconds_ = 0.0;
};

namespace detail {
/// What this thread's work is added to; null: nobody asks.
inline constinit thread_local StepProfile* step_profile = nullptr;
}  // namespace detail

/// Who owns the work that this thread does now; null outside of a Step and of all layers.
[[nodiscard]] WorkOwnerPtr current_work_owner();

/// A piece of work of one kind, while alive.
class TimedWork {
 public:
  explicit TimedWork(StepWork work, const WorkAmount& amount = {})
      : profile_(detail::step_profile) {
    if (profile_ != nullptr) begin(work, amount);
  }
  ~TimedWork() {
    if (profile_ != nullptr) profile_->leave();
  }
  TimedWork(const TimedWork&) = delete;
  TimedWork& operator=(const TimedWork&) = delete;

 private:
  void begin(StepWork work, const WorkAmount& amount);
  StepProfile* profile_;
};

/// While alive, work belongs to this owner.
class OwnedWork {
 public:
  OwnedWork(const std::string& name, std::string_view type) : profile_(detail::step_profile) {
    if (profile_ != nullptr) begin(std::make_shared<WorkOwner>(WorkOwner{name, std::string(type)}));
  }
  /// The work of a node in the backward pass; a null owner is nobody.
  OwnedWork(const WorkOwnerPtr& owner, Direction direction) : profile_(detail::step_profile) {
    if (profile_ != nullptr) begin(owner, direction);
  }
  ~OwnedWork() {
    if (profile_ != nullptr) profile_->leave();
  }
  OwnedWork(const OwnedWork&) = delete;
  OwnedWork& operator=(const OwnedWork&) = delete;

 private:
  void begin(WorkOwnerPtr owner, Direction direction = Direction::kForward);
  StepProfile* profile_;
};

}  // namespace branchy
