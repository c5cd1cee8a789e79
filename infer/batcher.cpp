#include "infer/batcher.h"

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace branchy {
namespace {

using Clock = Batcher::Clock;

struct Waiting {
  BatchTask task;
  Clock::time_point since;
  Clock::time_point patience;  // when it wants to wait no longer for others
};

/// Requests that may be computed together.
struct Group {
  std::deque<Waiting> tasks;
  std::int64_t rows = 0;
  Clock::time_point ready = Clock::time_point::max();  // may begin from then on

  void add(Waiting waiting, std::int64_t max_rows) {
    const bool was_full = rows >= max_rows;
    rows += waiting.task.rows;
    ready = std::min(ready, waiting.patience);
    if (!was_full && rows >= max_rows) ready = std::min(ready, waiting.since);
    tasks.push_back(std::move(waiting));
  }
};

struct Batch {
  std::vector<Waiting> tasks;
  std::vector<Waiting> late;
  std::int64_t rows = 0;
  Clock::time_point ready;
};

InferResult http_failure(int status, const char* text) {
  return std::make_exception_ptr(HttpError(status, text));
}

BatchTimes wait_times(const Waiting& one, Clock::time_point ready, Clock::time_point taken) {
  const Clock::time_point begin = std::clamp(ready, one.since, taken);
  return {.batch_wait = begin - one.since, .queue = taken - begin, .compute = {}};
}

double thread_cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::vector<InferResult> compute(const Batch& batch) {
  std::vector<const InferRequest*> requests;
  for (const Waiting& one : batch.tasks) requests.push_back(&one.task.request);
  try {
    return batch.tasks.front().task.backend->infer_batch(requests);
  } catch (...) {
    return std::vector<InferResult>(requests.size(), std::current_exception());
  }
}

}  // namespace

struct Batcher::Impl {
  explicit Impl(Options the_options) : options(std::move(the_options)) {}

  // Backend, key, and a number that is 0 where the key counts and unique where there is none.
  using Key = std::tuple<InferBackend*, std::string, std::uint64_t>;
  using Groups = std::map<Key, Group>;

  void run() {
    if (options.on_worker_start) options.on_worker_start();
    std::unique_lock lock(mutex);
    while (!stopped) {
      const auto next = first_to_begin();
      if (next == groups.end()) {
        wait_for_work(lock);
        continue;
      }
      Batch batch = take(next);
      // Whoever sleeps now may have to wake up for a batch that this worker would have begun.
      if (!groups.empty()) arrived.notify_one();
      lock.unlock();
      work(batch);
      batch = {};
      lock.lock();
    }
  }

  // The group that may begin and has the oldest request.
  Groups::iterator first_to_begin() {
    const Clock::time_point now = Clock::now();
    auto best = groups.end();
    for (auto it = groups.begin(); it != groups.end(); ++it) {
      if (!hurries && it->second.ready > now) continue;
      if (best == groups.end() || it->second.tasks.front().since < best->second.tasks.front().since)
        best = it;
    }
    return best;
  }

  void wait_for_work(std::unique_lock<std::mutex>& lock) {
    if (groups.empty()) return arrived.wait(lock);
    Clock::time_point ready = Clock::time_point::max();
    for (const auto& [key, group] : groups) ready = std::min(ready, group.ready);
    arrived.wait_until(lock, ready);
  }

  Batch take(Groups::iterator from) {
    const Clock::time_point now = Clock::now();
    Group group = std::move(from->second);
    Batch batch{.tasks = {}, .late = {}, .rows = 0, .ready = group.ready};
    while (!group.tasks.empty()) {
      Waiting& one = group.tasks.front();
      const bool late = one.task.deadline && *one.task.deadline <= now;
      const bool fits = batch.tasks.empty() || batch.rows + one.task.rows <= options.max_rows;
      if (!late && !fits) break;
      if (!late) batch.rows += one.task.rows;
      (late ? batch.late : batch.tasks).push_back(std::move(one));
      group.tasks.pop_front();
      --num_waiting;
    }
    if (group.tasks.empty()) {
      groups.erase(from);
    } else {
      from->second = {};
      for (Waiting& one : group.tasks) from->second.add(std::move(one), options.max_rows);
    }
    return batch;
  }

  void work(Batch& batch) const {
    const Clock::time_point taken = Clock::now();
    for (Waiting& one : batch.late)
      one.task.done(one.task, http_failure(504, "too late: the time for this request has passed"),
                    wait_times(one, batch.ready, taken));
    if (batch.tasks.empty()) return;
    const double cpu = thread_cpu_seconds();
    std::vector<InferResult> results = compute(batch);
    const Clock::duration took = Clock::now() - taken;
    if (options.on_batch)
      options.on_batch({std::ssize(batch.tasks), batch.rows, thread_cpu_seconds() - cpu});
    for (std::size_t i = 0; i < batch.tasks.size(); ++i) {
      Waiting& one = batch.tasks[i];
      BatchTimes times = wait_times(one, batch.ready, taken);
      times.compute = took;
      one.task.done(one.task, std::move(results[i]), times);
    }
  }

  void refuse_waiting() {
    Groups refused;  // answered outside the lock: done() may take long
    {
      const std::lock_guard lock(mutex);
      refused.swap(groups);
      num_waiting = 0;
    }
    for (auto& [key, group] : refused)
      for (Waiting& one : group.tasks)
        one.task.done(one.task, http_failure(503, "shutting down"), {});
  }

  Options options;
  std::mutex mutex;
  std::condition_variable arrived;
  Groups groups;
  std::size_t num_waiting = 0;
  std::uint64_t num_alone = 0;
  bool hurries = false;
  bool stopped = false;
  std::vector<std::thread> threads;
};

Batcher::Batcher(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  for (std::size_t i = 0; i < impl_->options.workers; ++i)
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
}

Batcher::~Batcher() { stop(); }

bool Batcher::submit(BatchTask& task) {
  const Clock::time_point now = Clock::now();
  Clock::time_point patience = now + impl_->options.wait;
  if (task.deadline) patience = std::min(patience, now + (*task.deadline - now) / 2);
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped || impl_->num_waiting >= impl_->options.queue_limit) return false;
    Impl::Key key{task.backend.get(), task.key.value_or(""), task.key ? 0 : ++impl_->num_alone};
    if (!task.key) patience = now;
    impl_->groups[std::move(key)].add({std::move(task), now, patience}, impl_->options.max_rows);
    ++impl_->num_waiting;
  }
  impl_->arrived.notify_one();
  return true;
}

void Batcher::hurry() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->hurries = true;
  }
  impl_->arrived.notify_all();
}

std::size_t Batcher::num_waiting() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->num_waiting;
}

void Batcher::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
  }
  impl_->arrived.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
  impl_->refuse_waiting();
}

}  // namespace branchy
