// WorkQueue: a bounded queue of tasks and the threads that run them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace branchy {

/// Tasks run in the order of their arrival, each on one of `workers` threads. Thread-safe.
class WorkQueue {
 public:
  struct Options {
    std::size_t workers = 1;
    std::size_t limit = 64;  ///< tasks that wait, those running not counted
    /// Run first on each worker, e.g. to set its number of OpenMP threads; may be empty.
    std::function<void()> on_worker_start = {};
  };

  explicit WorkQueue(Options options);
  /// stop().
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// False when the queue is full or stopped; the task is then untouched. Tasks must not throw.
  [[nodiscard]] bool try_push(std::function<void()>& task);
  /// Tasks that wait now.
  [[nodiscard]] std::size_t num_waiting() const;
  /// Destroys the tasks that wait; those running finish.
  void discard_waiting();
  /// discard_waiting() and joins the workers; afterwards nothing is accepted.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
