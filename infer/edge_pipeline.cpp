#include "infer/edge_pipeline.h"

#include <fmt/format.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/threads.h"
#include "infer/edge_schedule.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - start).count();
}

}  // namespace

class EdgePipeline::Impl {
 public:
  Impl(ServedModel model, std::unique_ptr<CloudLink> cloud, EdgePipelineOptions options)
      : options_(std::move(options)),
        link_(std::move(cloud)),
        engine_(std::move(model), link_ != nullptr, std::move(options_.engine)),
        schedule_(options_.queue, engine_.has_rest() ? options_.hedge : std::nullopt),
        policy_text_(engine_.policy()->text()) {
    if (options_.threads < 1 || options_.threads > num_available_cpus())
      throw ConfigError(fmt::format("[edge] {} computing threads, expected 1 to {}",
                                    options_.threads, num_available_cpus()));
    if (options_.follower) {
      const PolicyPtr first = engine_.policy();
      for (const PolicyPtr& policy : options_.follower->policies()) engine_.set_policy(policy);
      engine_.set_policy(first);
    }
    computing_ = std::thread([this] { compute(); });
    const std::size_t connections = link_ ? link_->connections() : 0;
    for (std::size_t i = 0; i < connections; ++i) asking_.emplace_back([this] { ask(); });
  }
  ~Impl() {
    drain();
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    work_.notify_all();
    questions_.notify_all();
    computing_.join();
    for (std::thread& thread : asking_) thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] const EdgeEngine& engine() const { return engine_; }
  void require(const EdgeImage& image) const;
  /// Takes the image when there is room; `wait`: until there is.
  bool take(EdgeImage& image, Done& done, bool wait);
  void drain();
  [[nodiscard]] EdgeStatus status() const;

 private:
  // The computing thread.
  void compute();
  void compute_image(const EdgeJobPtr& job);
  void hedge(const EdgeJobPtr& job);
  void answer_here(const EdgeJobPtr& job, const std::string& reason);
  void measure_link();
  void follow_bandwidth(EdgeTask& task);
  // The asking threads.
  void ask();
  void ask_one(std::unique_lock<std::mutex>& lock, const EdgeJobPtr& job);

  void finish(const EdgeJobPtr& job, EdgeOutcome outcome);

  EdgePipelineOptions options_;
  std::unique_ptr<CloudLink> link_;
  EdgeEngine engine_;
  mutable std::mutex mutex_;  // guards what follows but the threads
  std::condition_variable work_, questions_, left_;
  EdgeSchedule schedule_;
  std::size_t active_ = 0;  // without an outcome yet
  std::size_t in_flight_ = 0;
  bool probe_wanted_ = false, stopped_ = false;
  std::string policy_text_;
  Clock::duration rest_time_{};  // the computing thread's: what the last rest took
  std::thread computing_;
  std::vector<std::thread> asking_;
};

void EdgePipeline::Impl::require(const EdgeImage& image) const {
  const std::int64_t expected = engine_.model().image_shape->size();
  if (std::ssize(image.pixels) != expected)
    throw ShapeError(
        fmt::format("[edge] image of {} bytes, the model takes {}", image.pixels.size(), expected));
}

bool EdgePipeline::Impl::take(EdgeImage& image, Done& done, bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) left_.wait(lock, [this] { return schedule_.has_room(); });
  if (!schedule_.has_room()) return false;
  auto job = std::make_shared<EdgeJob>();
  job->arrived = Clock::now();
  job->task.pixels = std::move(image.pixels);
  job->task.deadline = image.deadline;
  job->task.outcome.decode_ms = image.decode_ms;
  if (!image.deadline && options_.deadline.count() > 0) {
    const std::chrono::duration<double, std::milli> spent(image.decode_ms);
    job->task.deadline =
        job->arrived + options_.deadline - std::chrono::duration_cast<Clock::duration>(spent);
  }
  job->done = std::move(done);
  schedule_.add_fresh(std::move(job));
  ++active_;
  lock.unlock();
  work_.notify_one();
  return true;
}

void EdgePipeline::Impl::drain() {
  std::unique_lock lock(mutex_);
  left_.wait(lock, [this] { return active_ == 0; });
}

EdgeStatus EdgePipeline::Impl::status() const {
  EdgeStatus status;
  if (link_) {
    const CloudLinkStatus link = link_->status();
    status.bits_per_second = link.estimate.bits_per_second();
    status.round_trip_ms = link.estimate.round_trip_ms();
    status.probe_bytes = link.probe_bytes;
    status.has_cloud = true;
    status.cloud_paused = link.is_paused;
  }
  const std::lock_guard lock(mutex_);
  status.queued = schedule_.num_fresh();
  status.waiting = schedule_.num_questions();
  status.in_flight = in_flight_;
  status.policy = policy_text_;
  return status;
}

void EdgePipeline::Impl::compute() {
  set_num_threads(options_.threads);
  std::unique_lock lock(mutex_);
  for (;;) {
    const std::optional<EdgeWork> work = schedule_.take_work(Clock::now());
    if (!work) {
      if (stopped_) return;
      if (const auto time = schedule_.next_time()) {
        work_.wait_until(lock, *time);
      } else {
        work_.wait(lock);
      }
      continue;
    }
    lock.unlock();
    left_.notify_all();
    switch (work->kind) {
      case EdgeWork::Kind::kFresh:
        compute_image(work->job);
        break;
      case EdgeWork::Kind::kFailed:
        answer_here(work->job, work->job->failure);
        break;
      case EdgeWork::Kind::kHedge:
        hedge(work->job);
        break;
    }
    lock.lock();
  }
}

void EdgePipeline::Impl::measure_link() {
  if (!link_->is_probe_due()) return;
  const std::lock_guard lock(mutex_);
  probe_wanted_ = true;
  questions_.notify_one();
}

void EdgePipeline::Impl::follow_bandwidth(EdgeTask& task) {
  const bool follows = options_.follower && options_.follower->follows_estimates();
  if (link_ && (follows || options_.measures_link)) measure_link();
  if (!options_.follower) return;
  const PolicyFollower& follower = *options_.follower;
  if (link_ && follows) task.outcome.bits_per_second = link_->status().estimate.bits_per_second();
  task.outcome.bits_per_second = follower.bits_per_second(task.outcome.bits_per_second);
  const PolicyPtr& policy = follower.policy(task.outcome.bits_per_second);
  if (policy == engine_.policy()) return;
  engine_.set_policy(policy);
  const std::lock_guard lock(mutex_);
  policy_text_ = policy->text();
}

void EdgePipeline::Impl::compute_image(const EdgeJobPtr& job) {
  const Clock::time_point began = Clock::now();
  EdgeTask& task = job->task;
  task.outcome.queue_ms = ms_between(job->arrived, began);
  follow_bandwidth(task);
  engine_.compute(task);
  const Clock::time_point end = Clock::now();
  if (task.is_decided) return finish(job, task.outcome);
  if (task.is_late) return answer_here(job, "deadline");
  if (!link_) return answer_here(job, engine_.has_rest() ? "" : "no-cloud");
  if (link_->status().is_paused) return answer_here(job, "paused");
  const std::lock_guard lock(mutex_);
  schedule_.add_question(job, end, end - began);
  questions_.notify_one();
}

void EdgePipeline::Impl::hedge(const EdgeJobPtr& job) {
  const Clock::time_point began = Clock::now();
  const auto& deadline = job->task.deadline;
  if (!deadline || began + rest_time_ < *deadline) {
    EdgeOutcome outcome = engine_.compute_rest(job->task, {});
    rest_time_ = Clock::now() - began;
    return finish(job, std::move(outcome));
  }
  // No time for it. The cloud may still answer by the deadline, or has failed meanwhile.
  const std::lock_guard lock(mutex_);
  job->is_hedged = false;
  if (!job->failure.empty()) schedule_.add_failed(job);
}

void EdgePipeline::Impl::answer_here(const EdgeJobPtr& job, const std::string& reason) {
  EdgeTask& task = job->task;
  const Clock::time_point began = Clock::now();
  if (engine_.has_rest() && (!task.deadline || began + rest_time_ < *task.deadline)) {
    EdgeOutcome outcome = engine_.compute_rest(task, reason);
    rest_time_ = Clock::now() - began;
    return finish(job, std::move(outcome));
  }
  if (task.seen.empty()) engine_.compute_exits(task);
  finish(job, engine_.degrade(task, reason));
}

void EdgePipeline::Impl::ask() {
  std::unique_lock lock(mutex_);
  for (;;) {
    questions_.wait(lock,
                    [this] { return stopped_ || probe_wanted_ || schedule_.has_questions(); });
    if (probe_wanted_) {
      probe_wanted_ = false;
      lock.unlock();
      link_->probe();
      lock.lock();
    } else if (schedule_.has_questions()) {
      ask_one(lock, schedule_.take_question());
    } else {
      return;
    }
  }
}

void EdgePipeline::Impl::ask_one(std::unique_lock<std::mutex>& lock, const EdgeJobPtr& job) {
  work_.notify_one();  // there may be room among those that wait
  ++in_flight_;
  const Clock::time_point ready = job->ready;
  lock.unlock();
  const Clock::time_point began = Clock::now();
  const CloudReply reply = link_->ask(*job->task.question, job->task.deadline, [&] {
    const std::lock_guard guard(mutex_);
    return job->is_answered;
  });
  lock.lock();
  --in_flight_;
  job->failure = reply.reason;
  job->waited_ms = ms_between(ready, began);
  job->asked_ms = ms_between(began, Clock::now());
  job->retries = reply.retries;
  if (!reply.answer && (engine_.has_rest() || job->task.seen.empty())) {
    schedule_.add_failed(job);
    work_.notify_one();
    return;
  }
  lock.unlock();
  finish(job, reply.answer ? engine_.take_answer(job->task, *reply.answer)
                           : engine_.degrade(job->task, reply.reason));
  lock.lock();
}

void EdgePipeline::Impl::finish(const EdgeJobPtr& job, EdgeOutcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(job->is_answered, true)) return;
    schedule_.remove(job);
    outcome.queue_ms += job->waited_ms;
    outcome.round_trip_ms = job->asked_ms;
    outcome.retries = job->retries;
  }
  outcome.total_ms = ms_between(job->arrived, Clock::now());
  if (link_ && !outcome.from_cloud) link_->count_exit(outcome.prediction.exit);
  job->done(outcome);
  job->done = nullptr;
  {
    const std::lock_guard lock(mutex_);
    --active_;
  }
  left_.notify_all();
}

EdgePipeline::EdgePipeline(ServedModel model, std::unique_ptr<CloudLink> cloud,
                           EdgePipelineOptions options)
    : impl_(std::make_unique<Impl>(std::move(model), std::move(cloud), std::move(options))) {}

EdgePipeline::~EdgePipeline() = default;

const ServedModel& EdgePipeline::model() const { return impl_->engine().model(); }

void EdgePipeline::submit(EdgeImage image, Done done) {
  impl_->require(image);
  impl_->take(image, done, true);
}

bool EdgePipeline::try_submit(EdgeImage& image, Done& done) {
  impl_->require(image);
  return impl_->take(image, done, false);
}

void EdgePipeline::drain() { impl_->drain(); }

EdgeOutcome EdgePipeline::classify(EdgeImage image) {
  std::promise<EdgeOutcome> outcome;
  std::future<EdgeOutcome> found = outcome.get_future();
  submit(std::move(image), [&](const EdgeOutcome& result) { outcome.set_value(result); });
  return found.get();
}

EdgeStatus EdgePipeline::status() const { return impl_->status(); }

}  // namespace branchy
