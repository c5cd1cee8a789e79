// PlanRequest: where a batch stands in a plan, and the lanes that compute it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "infer/plan.h"
#include "infer/plan_lane.h"

namespace branchy::detail {

/// Computes a batch in one of two ways. Together: one program for the batch, all threads in each
/// operation. Or, where `Plan::computes_alone` says so, sample by sample, each thread its own: what
/// a sample's operations hand on then stays in the thread's cache, no thread waits for another, and
/// one program serves every batch size.
class PlanRequest {
 public:
  explicit PlanRequest(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  /// `src` [N,...] stands at `boundary`; alone, a row-major source is not copied and must stay as
  /// it is until the first `run`.
  void start(std::size_t boundary, const Tensor& src);
  /// Runs the segments in order, of which the last may be an exit, and stands at `boundary` then.
  /// Fills `logits` [N, classes] unless it is undefined. `watch` is told each segment and its
  /// milliseconds; it works on batches computed together.
  void run(const std::vector<std::size_t>& segments, std::size_t boundary, Tensor& logits,
           const std::function<void(std::size_t, double)>& watch);
  [[nodiscard]] std::int64_t num_samples() const { return num_; }
  /// The value at the boundary where the request stands, row-major.
  [[nodiscard]] Tensor value();

 private:
  void use_alone();
  /// Calls `one(lane, n)` for every sample, on all threads.
  template <class One>
  void for_each_sample(const One& one);
  void run_together(const std::vector<std::size_t>& segments, Tensor& logits,
                    const std::function<void(std::size_t, double)>& watch);
  [[nodiscard]] const std::byte* value_of(std::int64_t n) const;

  std::shared_ptr<const Plan> plan_;
  PlanLane together_;            ///< the batch, or a sample on all threads
  std::vector<PlanLane> lanes_;  ///< a sample each, by thread
  bool alone_ = false;
  std::int64_t num_ = 0;  ///< samples
  std::size_t boundary_ = 0;
  // Of a batch computed alone: the samples' values at `boundary_`, as they lie there.
  Tensor src_;  ///< a source that needs no reorder
  Buffer values_;
  std::int64_t value_bytes_ = 0;  ///< of a sample
};

}  // namespace branchy::detail
