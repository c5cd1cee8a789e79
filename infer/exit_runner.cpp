#include "infer/exit_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"
#include "infer/plan_graph.h"
#include "infer/plan_request.h"

namespace branchy {

struct ExitRunner::Impl {
  explicit Impl(std::shared_ptr<const Plan> of) : plan(std::move(of)), request(plan) {}

  std::shared_ptr<const Plan> plan;
  detail::PlanRequest request;
  bool started = false;
  std::size_t next_segment = 0;
  std::int64_t next_exit = 0;
  std::function<void(const PartTime&)> stopwatch;

  [[nodiscard]] const std::vector<detail::PlanSegment>& segments() const {
    return plan->graph().segments;
  }
  [[nodiscard]] std::size_t boundary(std::int64_t num_blocks) const {
    return static_cast<std::size_t>(num_blocks - plan->part().first_block);
  }

  void start(std::int64_t num_blocks, const Tensor& src) {
    started = false;
    const Shape expected = plan->boundary_shape(num_blocks);
    if (!src.defined() || src.shape().rank() != expected.rank() || src.dim(0) < 1 ||
        src.shape() != expected.with_batch(src.dim(0)))
      throw ShapeError(fmt::format("[exit runner] source is {}, the plan expects {} with any batch",
                                   src.defined() ? src.shape().to_string() : "undefined",
                                   expected.to_string()));
    request.start(boundary(num_blocks), src);
    started = true;
    const NetworkPart& part = plan->part();
    next_exit = part.first_exit;
    while (next_exit <= part.last_exit && plan->exit_depth(next_exit) < num_blocks) ++next_exit;
    const auto first = std::find_if(segments().begin(), segments().end(), [&](const auto& segment) {
      return segment.is_exit ? plan->exit_depth(segment.number) >= num_blocks
                             : segment.number >= num_blocks;
    });
    next_segment = static_cast<std::size_t>(first - segments().begin());
  }

  void run(const std::vector<std::size_t>& chosen, std::int64_t depth, Tensor logits) {
    std::function<void(std::size_t, double)> watch;
    if (stopwatch)
      watch = [this](std::size_t segment, double ms) {
        stopwatch({segments()[segment].is_exit, segments()[segment].number, ms});
      };
    request.run(chosen, boundary(depth), logits, watch);
  }

  Tensor run_to(std::int64_t exit) {
    std::vector<std::size_t> chosen;
    for (;; ++next_segment) {
      const detail::PlanSegment& segment = segments()[next_segment];
      if (segment.is_exit && segment.number < exit) continue;
      chosen.push_back(next_segment);
      if (segment.is_exit) break;
    }
    const PlanValue result = segments()[next_segment++].dst;
    Tensor logits(
        plan->graph().shapes[static_cast<std::size_t>(result)].with_batch(request.num_samples()));
    run(chosen, plan->exit_depth(exit), logits);
    next_exit = exit + 1;
    return logits;
  }

  /// Trunk blocks of the network that are behind this request.
  std::int64_t blocks_done() const {
    for (std::size_t segment = next_segment; segment < segments().size(); ++segment)
      if (!segments()[segment].is_exit) return segments()[segment].number;
    return plan->part().end_block;
  }

  Tensor value_after(std::int64_t num_blocks) {
    std::vector<std::size_t> chosen;
    for (; next_segment < segments().size(); ++next_segment) {
      const detail::PlanSegment& segment = segments()[next_segment];
      if (segment.is_exit ? plan->exit_depth(segment.number) >= num_blocks
                          : segment.number >= num_blocks)
        break;
      if (!segment.is_exit) chosen.push_back(next_segment);
    }
    while (next_exit <= plan->part().last_exit && plan->exit_depth(next_exit) < num_blocks)
      ++next_exit;
    if (!chosen.empty()) run(chosen, num_blocks, Tensor());
    return request.value();
  }
};

ExitRunner::ExitRunner(std::shared_ptr<const Plan> plan) {
  BRANCHY_DCHECK(plan != nullptr);
  impl_ = std::make_unique<Impl>(std::move(plan));
}

ExitRunner::~ExitRunner() = default;
ExitRunner::ExitRunner(ExitRunner&&) noexcept = default;
ExitRunner& ExitRunner::operator=(ExitRunner&&) noexcept = default;

void ExitRunner::start(const Tensor& src) { impl_->start(impl_->plan->part().first_block, src); }

void ExitRunner::start_after(std::int64_t num_blocks, const Tensor& feature) {
  impl_->start(num_blocks, feature);
}

bool ExitRunner::has_next() const {
  return impl_->started && impl_->next_exit <= impl_->plan->part().last_exit;
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
  if (!impl_->started) throw Error("[exit runner] no request; call start first");
  const std::int64_t end = impl_->plan->part().end_block;
  Tensor value = impl_->value_after(end);
  impl_->next_segment = impl_->plan->graph().segments.size();
  impl_->next_exit = impl_->plan->part().last_exit + 1;
  return value;
}

Tensor ExitRunner::value_after(std::int64_t num_blocks) {
  if (!impl_->started) throw Error("[exit runner] no request; call start first");
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
