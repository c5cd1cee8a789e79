#include "infer/plan_request.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/dnn/inference_primitive.h"
#include "core/threads.h"
#include "infer/plan_graph.h"

namespace branchy::detail {

namespace {

std::size_t as_size(std::int64_t value) { return static_cast<std::size_t>(value); }

}  // namespace

/// Samples that do not fill a round of all threads are computed on all threads, one after another.
template <class One>
void PlanRequest::for_each_sample(const One& one) {
  const auto width = std::ssize(lanes_);
  const std::int64_t in_parallel = num_ / width * width;
  for_each_index(in_parallel, width,
                 [&](std::int64_t thread, std::int64_t n) { one(lanes_[as_size(thread)], n); });
  for (std::int64_t n = in_parallel; n < num_; ++n) one(together_, n);
}

void PlanRequest::use_alone() {
  const auto one_thread = plan_->program(1, 1);
  lanes_.resize(as_size(dnn::calling_thread_width()));
  for (PlanLane& lane : lanes_) lane.use(one_thread);
  if (lanes_.size() > 1) together_.use(plan_->program(1));
}

void PlanRequest::start(std::size_t boundary, const Tensor& src) {
  num_ = src.dim(0);
  boundary_ = boundary;
  alone_ = plan_->computes_alone(num_);
  src_ = Tensor();
  if (!alone_) {
    together_.use(plan_->program(num_));
    together_.enter(boundary, src.data().data());
    return;
  }
  use_alone();
  value_bytes_ = lanes_.front().boundary_bytes(boundary);
  if (plan_->program(1, 1)->boundaries[boundary].layout.layout == nullptr) {
    src_ = src;
    return;
  }
  values_ = Buffer(as_size(num_ * value_bytes_));
  const float* rows = src.data().data();
  const std::int64_t size = src.size() / num_;
  for_each_sample([&](PlanLane& lane, std::int64_t n) {
    lane.enter(boundary, rows + n * size);
    lane.save(boundary, static_cast<std::byte*>(values_.data()) + n * value_bytes_);
  });
}

const std::byte* PlanRequest::value_of(std::int64_t n) const {
  const void* values =
      src_.defined() ? static_cast<const void*>(src_.data().data()) : values_.data();
  return static_cast<const std::byte*>(values) + n * value_bytes_;
}

void PlanRequest::run_together(const std::vector<std::size_t>& segments, Tensor& logits,
                               const std::function<void(std::size_t, double)>& watch) {
  for (const std::size_t segment : segments) {
    const auto start = std::chrono::steady_clock::now();
    together_.run_segment(segment);
    if (!watch) continue;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    watch(segment, took.count());
  }
  if (logits.defined())
    std::memcpy(logits.mutable_data().data(), together_.logits(segments.back()),
                as_size(logits.size()) * sizeof(float));
}

void PlanRequest::run(const std::vector<std::size_t>& segments, std::size_t boundary,
                      Tensor& logits, const std::function<void(std::size_t, double)>& watch) {
  const std::size_t from = std::exchange(boundary_, boundary);
  if (!alone_) return run_together(segments, logits, watch);
  const bool moves = from != boundary;
  const std::int64_t bytes = lanes_.front().boundary_bytes(boundary);
  Buffer values(moves ? as_size(num_ * bytes) : 0);
  float* const rows = logits.defined() ? logits.mutable_data().data() : nullptr;
  const std::int64_t row_size = logits.defined() ? logits.size() / num_ : 0;
  for_each_sample([&](PlanLane& lane, std::int64_t n) {
    lane.load(from, value_of(n));
    for (const std::size_t segment : segments) lane.run_segment(segment);
    if (rows != nullptr)
      std::memcpy(rows + n * row_size, lane.logits(segments.back()),
                  as_size(row_size) * sizeof(float));
    if (moves) lane.save(boundary, static_cast<std::byte*>(values.data()) + n * bytes);
  });
  if (!moves) return;
  src_ = Tensor();
  values_ = std::move(values);
  value_bytes_ = bytes;
}

Tensor PlanRequest::value() {
  const PlanGraph& graph = plan_->graph();
  Tensor result(graph.shapes[as_size(graph.boundaries[boundary_])].with_batch(num_));
  float* const rows = result.mutable_data().data();
  if (!alone_) {
    together_.leave(boundary_, rows);
    return result;
  }
  const std::int64_t size = result.size() / num_;
  for_each_sample([&](PlanLane& lane, std::int64_t n) {
    lane.load(boundary_, value_of(n));
    lane.leave(boundary_, rows + n * size);
  });
  return result;
}

}  // namespace branchy::detail
