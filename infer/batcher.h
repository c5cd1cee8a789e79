// Batcher: a bounded queue of requests and the workers that compute them, several at once where
// they fit together.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "infer/infer_backend.h"

namespace branchy {

/// How one request fared; times of its own wait and of the computation that it shared.
struct BatchTimes {
  using Duration = std::chrono::steady_clock::duration;
  Duration batch_wait{};  ///< for others to join
  Duration queue{};       ///< for a worker
  Duration compute{};     ///< zero when it was not computed
};

/// What a batch was.
struct BatchReport {
  std::int64_t requests = 0, rows = 0;
  double cpu_seconds = 0;  ///< of the worker's own thread
};

struct BatchTask {
  using Clock = std::chrono::steady_clock;
  using Done = std::function<void(BatchTask&, InferResult, const BatchTimes&)>;

  std::shared_ptr<InferBackend> backend;
  InferRequest request;
  std::optional<std::string> key;  ///< `backend->batch_key(request)`
  std::int64_t rows = 1;
  std::optional<Clock::time_point> deadline;  ///< nothing is begun after it
  /// Called exactly once, on a worker or in stop(); must not throw.
  Done done;
};

/// Thread-safe.
///
/// 1. A batch holds requests of one backend with one key, oldest first, of together at most
///    `max_rows` rows; a request of more rows is computed alone.
/// 2. It begins when a worker is free and it is full, or its oldest request has waited for `wait`,
///    or one of its requests has spent half of the time that it had when it came.
///    Requests that wait for a worker are joined in any case.
/// 3. Among batches that may begin, the one with the oldest request is first. One that waits for
///    others keeps no worker from the rest.
/// 4. A request whose deadline has passed when its batch begins gets HttpError 504 and is not
///    computed.
class Batcher {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::size_t workers = 1;
    std::size_t queue_limit = 64;  ///< requests that wait, those being computed not counted
    std::int64_t max_rows = 64;
    std::chrono::microseconds wait{0};
    /// Run first on each worker, e.g. to set its number of OpenMP threads; may be empty.
    std::function<void()> on_worker_start = {};
    /// Told each batch that was computed before its answers are given, on its worker; may be empty.
    std::function<void(const BatchReport&)> on_batch = {};
  };

  explicit Batcher(Options options);
  /// stop().
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// False when the queue is full or stopped; the task is then untouched.
  [[nodiscard]] bool submit(BatchTask& task);
  /// From now on no batch waits for others: the server is about to stop.
  void hurry();
  [[nodiscard]] std::size_t num_waiting() const;
  /// What waits gets HttpError 503, what is being computed is finished; joins the workers.
  /// Afterwards nothing is accepted.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
