// CloudLink: the way to the cloud: connections, retries, a circuit breaker, and what is known of
// the network between.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "core/rng.h"
#include "infer/circuit_breaker.h"
#include "infer/cloud_client.h"
#include "infer/link_estimate.h"

namespace branchy {

struct CloudLinkOptions {
  CloudClientOptions client;  ///< its time-out holds for a question with its retries
  std::int64_t retries = 2;   ///< further attempts at a question
  std::uint64_t seed = 0;     ///< of the jitter between them
};

/// What became of a question.
struct CloudReply {
  std::optional<CloudAnswer> answer;
  /// Why there is none: a FailureKind's name, `paused` by the breaker, or `deadline` when that had
  /// passed before the cloud could be asked.
  std::string reason;
  std::int64_t retries = 0;
};

struct CloudLinkStatus {
  LinkEstimate estimate;
  std::int64_t probe_bytes = 0;  ///< what probes put on the wire
  bool is_paused = false;        ///< by the breaker
};

/// Thread-safe.
///
/// 1. Retries follow failed connections, 502, 503 and 504, never another answer, and only while the
///    time allows: after a random share of a pause that doubles from 50 ms to 1 s ("full jitter"),
///    and not before the peer's Retry-After.
/// 2. After three failed questions in a row the cloud is left alone for 1 s, doubling up to 30 s;
///    then one trial at a time, without retries.
/// 3. Every request says how long the edge waits, and how many answers the edge gave by exit since
///    the last request that succeeded.
/// 4. A transfer's own time tells the bandwidth, what the image spent in the cloud excepted. With several at
///    once that is the share that each got.
class CloudLink {
 public:
  using Clock = std::chrono::steady_clock;
  /// Is told each failure of the cloud once per streak, on the asking thread.
  using Warn = std::function<void(const std::string&)>;

  CloudLink(CloudLinkOptions options, Warn warn);

  /// Questions at once.
  [[nodiscard]] std::size_t connections() const { return client_.options().connections; }
  /// CloudClient::describe().
  [[nodiscard]] Result<ModelDescription> describe() { return client_.describe(); }
  /// Blocks until there is an answer, or there will be none: at the latest at `deadline`. Retries
  /// end early when `is_answered` says so.
  [[nodiscard]] CloudReply ask(const CloudQuestion& question,
                               std::optional<Clock::time_point> deadline,
                               const std::function<bool()>& is_answered = {});
  /// An answer that the edge gave without the cloud, for the next report.
  void count_exit(std::int64_t exit);

  /// Whether the round trip was last measured long ago (1 s).
  [[nodiscard]] bool is_probe_due() const;
  /// Measures the round trip, and the bandwidth too when no transfer has told it for 3 s, as when
  /// every image is answered here.
  void probe();

  [[nodiscard]] CloudLinkStatus status() const;

 private:
  [[nodiscard]] Result<CloudAnswer> attempt(const CloudQuestion& question,
                                            std::chrono::milliseconds timeout);
  /// How long to wait before attempt number `attempt`, from 1.
  [[nodiscard]] Clock::duration backoff(std::int64_t attempt, const Failure& failure);
  void close_question(CircuitBreaker::Pass pass, const CloudReply& reply, const std::string& text);
  [[nodiscard]] EdgeExitCounts take_exits();

  const std::int64_t retries_;
  const Warn warn_;
  CloudClient client_;
  mutable std::mutex mutex_;  // guards everything below
  CircuitBreaker breaker_;
  LinkEstimate estimate_;
  Rng rng_;
  EdgeExitCounts exits_;  // answers not reported yet
  std::optional<Clock::time_point> last_probe_, last_transfer_;
  std::int64_t probe_bytes_ = 0;
  bool was_away_ = false;
};

}  // namespace branchy
