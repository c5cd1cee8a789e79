#include "infer/result_order.h"

#include <utility>

namespace branchy {

std::int64_t ResultOrder::begin() {
  std::unique_lock lock(mutex_);
  handed_on_.wait(lock, [this] { return failure_ || held_.size() < limit_; });
  if (failure_) std::rethrow_exception(failure_);
  return num_begun_++;
}

void ResultOrder::add(std::int64_t number, EdgeResult result) {
  const std::lock_guard lock(mutex_);
  if (!ordered_) return hand_on(result);
  held_.emplace(number, std::move(result));
  while (!held_.empty() && held_.begin()->first == num_handed_on_) {
    hand_on(held_.begin()->second);
    held_.erase(held_.begin());
    ++num_handed_on_;
  }
  handed_on_.notify_all();
}

void ResultOrder::hand_on(const EdgeResult& result) {
  if (failure_) return;
  try {
    sink_(result);
  } catch (...) {
    failure_ = std::current_exception();
    handed_on_.notify_all();
  }
}

void ResultOrder::check() const {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace branchy
