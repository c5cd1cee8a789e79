// EdgeSchedule: which image the edge computes next, and which it asks the cloud about.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "infer/edge_engine.h"

namespace branchy {

/// An image from its arrival to its outcome. Once computed, the task is read by several threads
/// and changed by none, unless no exit has been computed: then by the computing thread alone.
struct EdgeJob {
  using Clock = std::chrono::steady_clock;

  EdgeTask task;
  std::function<void(const EdgeOutcome&)> done;
  Clock::time_point arrived;
  // What several threads change, by turns:
  Clock::time_point ready = {};  ///< when it began to wait for the cloud
  bool is_answered = false;
  bool is_hedged = false;              ///< its rest is being computed here
  std::string failure;                 ///< why there is no answer of the cloud
  double waited_ms = 0, asked_ms = 0;  ///< for a connection; with the question
  std::int64_t retries = 0;
};
using EdgeJobPtr = std::shared_ptr<EdgeJob>;

/// What the computing thread does next.
struct EdgeWork {
  enum class Kind {
    kFresh,   ///< compute the exits before the cut
    kFailed,  ///< answer without the cloud
    kHedge,   ///< compute the rest while the cloud may still answer
  };
  Kind kind = Kind::kFresh;
  EdgeJobPtr job;
};

/// 1. What the cloud has failed goes first, then hedges that are due, then fresh images; but a
///    hedge waits for the fresh images that came before it fell due.
/// 2. While `queue` images wait for the cloud no fresh one is computed, unless its deadline is as
///    near as the last computing took.
/// 3. A deadline that passes while an image waits for the cloud makes it a failed one.
///
/// Not synchronised.
class EdgeSchedule {
 public:
  using Clock = EdgeJob::Clock;

  /// `queue`: fresh images, and as many that wait for the cloud. `hedge`: how long an image waits
  /// for the cloud before its rest is computed here too.
  EdgeSchedule(std::size_t queue, std::optional<std::chrono::milliseconds> hedge)
      : queue_(queue), hedge_(hedge) {}

  [[nodiscard]] bool has_room() const { return fresh_.size() < queue_; }
  void add_fresh(EdgeJobPtr job) { fresh_.push_back(std::move(job)); }
  /// Computed within `took` without a decision: now it is the cloud's turn.
  void add_question(const EdgeJobPtr& job, Clock::time_point now, Clock::duration took);
  /// Unless it is answered or being hedged.
  void add_failed(const EdgeJobPtr& job);
  /// Forgets what has its outcome.
  void remove(const EdgeJobPtr& job);

  [[nodiscard]] bool has_questions() const { return !questions_.empty(); }
  /// The one that has waited longest; there is one.
  [[nodiscard]] EdgeJobPtr take_question();
  /// Nothing: wait for a change or until `next_time()`.
  [[nodiscard]] std::optional<EdgeWork> take_work(Clock::time_point now);
  /// When there will be work without a change.
  [[nodiscard]] std::optional<Clock::time_point> next_time() const;

  [[nodiscard]] std::size_t num_fresh() const { return fresh_.size(); }
  [[nodiscard]] std::size_t num_questions() const { return questions_.size(); }

 private:
  [[nodiscard]] bool is_blocked() const { return questions_.size() >= queue_; }
  void fail_late_questions(Clock::time_point now);
  [[nodiscard]] EdgeJobPtr take_hedge(Clock::time_point now);

  std::size_t queue_;
  std::optional<std::chrono::milliseconds> hedge_;
  std::deque<EdgeJobPtr> fresh_, questions_, failed_;
  std::deque<EdgeJobPtr> hedges_;  // what may be hedged, by `ready`
  Clock::duration computing_{};    // of the last image
};

}  // namespace branchy
