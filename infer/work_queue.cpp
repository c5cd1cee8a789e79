#include "infer/work_queue.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace branchy {

struct WorkQueue::Impl {
  explicit Impl(Options the_options) : options(std::move(the_options)) {}

  void run() {
    if (options.on_worker_start) options.on_worker_start();
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex);
        arrived.wait(lock, [this] { return stopped || !waiting.empty(); });
        if (stopped) return;
        task = std::move(waiting.front());
        waiting.pop_front();
      }
      task();
    }
  }

  Options options;
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<std::function<void()>> waiting;
  bool stopped = false;
  std::vector<std::thread> threads;
};

WorkQueue::WorkQueue(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  for (std::size_t i = 0; i < impl_->options.workers; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
  }
}

WorkQueue::~WorkQueue() { stop(); }

bool WorkQueue::try_push(std::function<void()>& task) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped || impl_->waiting.size() >= impl_->options.limit) return false;
    impl_->waiting.push_back(std::move(task));
  }
  impl_->arrived.notify_one();
  return true;
}

std::size_t WorkQueue::num_waiting() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->waiting.size();
}

void WorkQueue::discard_waiting() {
  std::deque<std::function<void()>> discarded;  // destroyed outside the lock: it may call back
  const std::lock_guard lock(impl_->mutex);
  discarded.swap(impl_->waiting);
}

void WorkQueue::stop() {
  discard_waiting();
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
  }
  impl_->arrived.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
  discard_waiting();
}

}  // namespace branchy
