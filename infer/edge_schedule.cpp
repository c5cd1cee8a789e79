#include "infer/edge_schedule.h"

#include <algorithm>
#include <utility>

namespace branchy {
namespace {

EdgeJobPtr take_front(std::deque<EdgeJobPtr>& jobs) {
  EdgeJobPtr job = std::move(jobs.front());
  jobs.pop_front();
  return job;
}

}  // namespace

void EdgeSchedule::add_question(const EdgeJobPtr& job, Clock::time_point now,
                                Clock::duration took) {
  computing_ = took;
  job->ready = now;
  questions_.push_back(job);
  if (hedge_) hedges_.push_back(job);
}

void EdgeSchedule::add_failed(const EdgeJobPtr& job) {
  if (!job->is_answered && !job->is_hedged) failed_.push_back(job);
}

void EdgeSchedule::remove(const EdgeJobPtr& job) {
  std::erase(questions_, job);
  std::erase(failed_, job);
  std::erase(hedges_, job);
}

EdgeJobPtr EdgeSchedule::take_question() { return take_front(questions_); }

void EdgeSchedule::fail_late_questions(Clock::time_point now) {
  std::erase_if(questions_, [&](const EdgeJobPtr& job) {
    if (!job->task.deadline || now < *job->task.deadline) return false;
    job->failure = "deadline";
    job->waited_ms = std::chrono::duration<double, std::milli>(now - job->ready).count();
    add_failed(job);
    return true;
  });
}

std::optional<EdgeWork> EdgeSchedule::take_work(Clock::time_point now) {
  fail_late_questions(now);
  if (!failed_.empty()) return EdgeWork{EdgeWork::Kind::kFailed, take_front(failed_)};
  if (EdgeJobPtr job = take_hedge(now)) return EdgeWork{EdgeWork::Kind::kHedge, std::move(job)};
  if (fresh_.empty()) return std::nullopt;
  const auto& deadline = fresh_.front()->task.deadline;
  if (is_blocked() && (!deadline || now + computing_ < *deadline)) return std::nullopt;
  return EdgeWork{EdgeWork::Kind::kFresh, take_front(fresh_)};
}

EdgeJobPtr EdgeSchedule::take_hedge(Clock::time_point now) {
  if (hedges_.empty()) return nullptr;
  const Clock::time_point due = hedges_.front()->ready + *hedge_;
  if (now < due) return nullptr;
  if (!fresh_.empty() && fresh_.front()->arrived <= due && !is_blocked()) return nullptr;
  EdgeJobPtr job = take_front(hedges_);
  job->is_hedged = true;
  return job;
}

std::optional<EdgeSchedule::Clock::time_point> EdgeSchedule::next_time() const {
  std::optional<Clock::time_point> next;
  const auto consider = [&](Clock::time_point time) { next = next ? std::min(*next, time) : time; };
  for (const EdgeJobPtr& job : questions_)
    if (job->task.deadline) consider(*job->task.deadline);
  if (!hedges_.empty()) consider(hedges_.front()->ready + *hedge_);
  if (!fresh_.empty() && fresh_.front()->task.deadline)
    consider(*fresh_.front()->task.deadline - computing_);
  return next;
}

}  // namespace branchy
